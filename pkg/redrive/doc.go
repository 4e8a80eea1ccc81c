// Package redrive is the operator's side of the dead-letter queue: reading dead
// letters without harm, saying why each gave up, and keeping two operators from
// working on the queue at once.
//
// Reading hides messages for a while and gives them back: nothing here deletes or
// sends a message, and no payload is kept or shown unless a caller takes it from the
// visit. It knows no transport and no database.
//
//	err := redrive.Exclusive(ctx, claims, "ann@laptop", "list", func(ctx context.Context) error {
//		_, err := redrive.Browse(ctx, queue, redrive.Options{}, func(l redrive.Letter, _ []byte) bool {
//			letters = append(letters, l)
//			return true
//		})
//		return err
//	})
//	err = redrive.Explain(ctx, records, letters)
//	groups := redrive.GroupLetters(letters)
package redrive
