package doctor

import (
	"context"
	"strings"
	"time"
)

// NamedTable is a table of the Region.
type NamedTable struct {
	Name    string
	Created time.Time
}

// CheckHistory looks for an older table of the stage next to one that the stack made: without
// the records in it, events that come again are applied again. used is nil if the table was named
// by people, who know.
func CheckHistory(read func(ctx context.Context) (used *NamedTable, others []NamedTable, err error)) Check {
	return func(ctx context.Context) []Finding {
		f := findings{name: "table history"}
		used, others, err := read(ctx)
		if err != nil {
			return unknown(f.name, err, "dynamodb:ListTables and DescribeTable")
		}
		if used == nil {
			return Skip(f.name, "the table was not made by the stack")(ctx)
		}
		var older []string
		for _, o := range others {
			if o.Created.Before(used.Created) {
				older = append(older, o.Name)
			}
		}
		if len(older) > 0 {
			f.fail(`"table": "`+older[0]+`" in the stage's file, and make deploy; delete the older one if nothing in it is needed`,
				"the stack made this table on %s, and %s is older: what that has recorded would be applied again", used.Created.UTC().Format(time.DateOnly), strings.Join(older, ", "))
		}
		return f.or("no older table of the stage")
	}
}
