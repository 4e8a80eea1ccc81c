// Package lambda serves the operations of Lambda's REST API that look at event source mappings and
// switch them: ListEventSourceMappings, GetEventSourceMapping and UpdateEventSourceMapping with the
// member Enabled alone. It refuses all others with an error.
//
// A mapping changes as on AWS: it is Disabling until its last batch has ended, and can be switched
// again only when it is Enabled or Disabled. Its state is kept in a file.
//
//	all, err := lambda.Open("lambda.json", lambda.Mapping{UUID: id, EventSourceARN: queue, FunctionARN: function})
//	go all.Run(ctx, id, source.Run)
//	http.Handle(lambda.Path, all.Handler(accessKeyID))
package lambda
