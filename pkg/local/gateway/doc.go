// Package gateway replaces API Gateway's HTTP API on one machine.
//
// A [Gateway] is an http.Handler that turns each request on its routes into a
// payload of format 2.0, hands it to a function and turns the function's answer
// back into a response, with API Gateway's header names, limits and error bodies.
//
// It does not support authorizers, CORS, stages other than $default, stage
// variables, parameter mapping, greedy path variables and throttling. It differs on
// purpose in one point: a route accepts every method, so that the function's answer
// to a wrong method is visible; the HTTP API would answer 404 itself.
//
//	g, err := gateway.New(gateway.Options{
//		Routes:  []string{"/webhooks/stripe", "/webhooks/stripe/{endpoint}"},
//		Invoker: invoke,
//	})
//	server := g.Server()
//	err = server.Serve(listener)
package gateway
