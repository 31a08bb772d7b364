package api

// Patterns gives the test what the router was asked to serve.
func Patterns(s *Server) []string { return s.mux.patterns }
