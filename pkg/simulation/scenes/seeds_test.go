package scenes_test

import "flag"

// seeds is the number of plays of each scene: few by default, as the race detector makes each ten
// times slower.
var seeds = flag.Int("seeds", 40, "seeds of each scene")

// tries is the number of plays of a scene with a mistake.
const tries = 12
