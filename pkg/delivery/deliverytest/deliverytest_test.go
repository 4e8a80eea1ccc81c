package deliverytest_test

import (
	"testing"

	"tollgate/pkg/delivery/deliverytest"
)

func TestMemory(t *testing.T) {
	deliverytest.Run(t, func(*testing.T) deliverytest.Store { return deliverytest.NewMemory() })
}
