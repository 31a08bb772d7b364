import { describe, expect, it } from "vitest";
import { labelsOf, seriesName } from "./names";

describe("names of series", () => {
  it("says in words what Norn's own series measure", () => {
    expect(seriesName("norn_latency_seconds", { entity: "service/cart", quantile: "0.95" })).toEqual({ what: "latency", which: "p95" });
    expect(seriesName("norn_latency_seconds", { quantile: "0.999" }).which).toBe("p99.9");
    expect(seriesName("norn_operation_request_rate", { entity: "service/cart", operation: "GET /items" })).toEqual({ what: "request rate", which: "GET /items" });
  });

  it("tells series of one metric apart by what is not their identity", () =>
    expect(
      seriesName("mean(http_server_request_duration_seconds)", {
        service_name: "frontend", instance: "frontend-1", http_request_method: "GET", http_response_status_code: "200", http_route: "/orders",
      }),
    ).toEqual({ what: "mean(http_server_request_duration_seconds)", which: "GET 200 /orders" }));

  it("reads the labels of an expression, also with braces and quotes in them", () => {
    expect(labelsOf('rate(x_sum{route="/a/{id}",q="say \\"hi\\""}[4m]) / rate(x_count{route="/b"}[4m])')).toEqual({ route: "/a/{id}", q: 'say "hi"' });
    expect(labelsOf("up")).toEqual({});
  });
});
