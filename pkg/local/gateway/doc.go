// Package gateway replaces API Gateway's HTTP API on one machine.
//
// A [Gateway] is an http.Handler that turns each request on its routes into a
// payload of format 2.0, hands it to a function and turns the function's answer
// back into a response, with API Gateway's header names, limits and error bodies.
//
// It refuses what the HTTP API has besides: authorizers, CORS, stages other than
// $default, stage variables, parameter mapping, greedy path variables and
// throttling. It differs on purpose in one point: a route takes every method, so
// that the function's own answer to a wrong method can be seen; the HTTP API
// would answer 404 itself.
//
//	g, err := gateway.New(gateway.Options{
//		Routes:  []string{"/webhooks/stripe", "/webhooks/stripe/{endpoint}"},
//		Invoker: gateway.InvokerFunc(invoke),
//	})
//	server := g.Server()
//	err = server.Serve(listener)
package gateway
