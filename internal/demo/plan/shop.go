package plan

// Names that code refers to.
const (
	Frontend  = "frontend"
	Cache     = "product-cache"
	Broker    = "order-broker"
	QueueName = "order-events"
	OrdersDB  = "orders-db"
	CatalogDB = "catalog-db"
	Worker    = "email-worker"
)

// Shop returns the plan of the demo's shop: ten services that call each
// other, a cache, a broker and two servers of SQLite databases. The value is fresh; the
// caller may change it.
func Shop() *Plan {
	return &Plan{
		Queue: 40,
		Journeys: []Journey{
			{Name: "browse", Share: 0.45, Routes: []string{"GET /", "GET /product/{id}", "GET /product/{id}"}},
			{Name: "cart", Share: 0.2, Routes: []string{"GET /", "GET /product/{id}", "POST /cart/{id}"}},
			{Name: "checkout", Share: 0.25, Routes: []string{"GET /product/{id}", "POST /cart/{id}", "POST /checkout"}},
			{Name: "look up", Share: 0.1, Routes: []string{"GET /orders", "GET /product/{id}"}},
		},
		Services: []Service{
			frontend(), catalog(), cart(), pricing(), recommendations(), orders(), payment(), inventory(), shipping(),
			{Name: Worker, Role: RoleWorker, Instances: 1, Version: "1.2.0", Ops: []Op{
				{Method: "process", Path: QueueName, Wait: 0.012, CPU: 0.0004, Log: "confirmation sent"},
			}},
			{Name: OrdersDB, Role: RoleDB, Instances: 1, Version: "3.54.1"},
			{Name: CatalogDB, Role: RoleDB, Instances: 1, Version: "3.54.1"},
			{Name: Cache, Role: RoleCache, Instances: 1, Version: "7.2.5"},
			{Name: Broker, Role: RoleQueue, Instances: 1, Version: "3.13.0"},
		},
	}
}

func frontend() Service {
	return Service{Name: Frontend, Role: RoleService, Instances: 2, Version: "2.8.1", Ops: []Op{
		{Method: "GET", Path: "/", Wait: 0.001, CPU: 0.0006, Log: "home page served", Steps: []Step{
			call("catalog", "GET /products"), call("recommendations", "GET /recommendations"),
		}},
		{Method: "GET", Path: "/product/{id}", Wait: 0.001, CPU: 0.0006, Log: "product page served", Steps: []Step{
			call("catalog", "GET /products/{id}"), call("pricing", "GET /price/{id}"), sometimes(0.5, call("recommendations", "GET /recommendations")),
		}},
		{Method: "POST", Path: "/cart/{id}", Wait: 0.001, CPU: 0.0004, Log: "item put into cart", Steps: []Step{
			call("pricing", "GET /price/{id}"), call("cart", "POST /items/{id}"),
		}},
		{Method: "POST", Path: "/checkout", Wait: 0.001, CPU: 0.0006, Log: "checkout done", Steps: []Step{
			call("cart", "GET /items"), call("orders", "POST /orders/{id}"),
		}},
		{Method: "GET", Path: "/orders", Wait: 0.001, CPU: 0.0004, Log: "order list served", Steps: []Step{
			call("orders", "GET /orders"),
		}},
	}}
}

func catalog() Service {
	return Service{Name: "catalog", Role: RoleService, Instances: 1, Version: "1.14.2", Ops: []Op{
		{Method: "GET", Path: "/products", Wait: 0.002, CPU: 0.0006, Log: "product list read", Steps: []Step{
			{Kind: StepGet, To: Cache, Key: "list", Share: 1, Miss: []Step{{Kind: StepQuery, To: CatalogDB, Key: "list", Share: 1}}},
		}},
		{Method: "GET", Path: "/products/{id}", Wait: 0.002, CPU: 0.0004, Steps: []Step{
			{Kind: StepGet, To: Cache, Key: "product", Share: 1, Miss: []Step{{Kind: StepQuery, To: CatalogDB, Key: "product", Share: 1}}},
			call("inventory", "GET /stock/{id}"),
		}},
	}}
}

func cart() Service {
	return Service{Name: "cart", Role: RoleService, Instances: 2, Version: "1.9.0", Ops: []Op{
		{Method: "POST", Path: "/items/{id}", Wait: 0.002, CPU: 0.0003, Log: "cart changed", Steps: []Step{
			{Kind: StepGet, To: Cache, Key: "cart", Share: 1}, {Kind: StepSet, To: Cache, Key: "cart", Share: 1},
		}},
		{Method: "GET", Path: "/items", Wait: 0.002, CPU: 0.0002, Steps: []Step{
			{Kind: StepGet, To: Cache, Key: "cart", Share: 1},
		}},
	}}
}

func pricing() Service {
	return Service{Name: "pricing", Role: RoleService, Instances: 2, Version: "3.1.0", Ops: []Op{
		{Method: "GET", Path: "/price/{id}", Wait: 0.003, CPU: 0.001, Log: "price computed"},
	}}
}

func recommendations() Service {
	return Service{Name: "recommendations", Role: RoleService, Instances: 1, Version: "0.7.3", Ops: []Op{
		{Method: "GET", Path: "/recommendations", Wait: 0.005, CPU: 0.0015, Log: "recommendations ranked", Steps: []Step{
			sometimes(0.3, call("catalog", "GET /products")),
		}},
	}}
}

func orders() Service {
	return Service{Name: "orders", Role: RoleService, Instances: 1, Version: "4.0.2", Ops: []Op{
		{Method: "POST", Path: "/orders/{id}", Wait: 0.003, CPU: 0.0006, Log: "order accepted", Steps: []Step{
			call("inventory", "POST /reservations/{id}"),
			call("payment", "POST /payments"),
			{Kind: StepQuery, To: OrdersDB, Key: "insert", Share: 1},
			call("shipping", "POST /shipments"),
			{Kind: StepPublish, To: QueueName, Share: 1},
		}},
		{Method: "GET", Path: "/orders", Wait: 0.002, CPU: 0.0003, Log: "orders of a customer read", Steps: []Step{
			{Kind: StepQuery, To: OrdersDB, Key: "history", Share: 1},
		}},
	}}
}

func payment() Service {
	return Service{Name: "payment", Role: RoleService, Instances: 1, Version: "2.3.0", Ops: []Op{
		{Method: "POST", Path: "/payments", Wait: 0.035, CPU: 0.0004, Fail: 0.002, Log: "payment captured"},
	}}
}

func inventory() Service {
	return Service{Name: "inventory", Role: RoleService, Instances: 1, Version: "1.5.4", Ops: []Op{
		{Method: "GET", Path: "/stock/{id}", Wait: 0.003, CPU: 0.0003},
		{Method: "POST", Path: "/reservations/{id}", Wait: 0.006, CPU: 0.0004, Log: "stock reserved"},
	}}
}

func shipping() Service {
	return Service{Name: "shipping", Role: RoleService, Instances: 1, Version: "1.1.1", Ops: []Op{
		{Method: "POST", Path: "/shipments", Wait: 0.008, CPU: 0.0005, Log: "shipment planned"},
	}}
}

func call(to, route string) Step {
	return Step{Kind: StepCall, To: to, Route: route, Share: 1}
}

func sometimes(share float64, s Step) Step {
	s.Share = share
	return s
}
