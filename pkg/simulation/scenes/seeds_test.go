package scenes_test

import "flag"

// seeds is how many times each scene is played: few in an ordinary test, where the race
// detector makes each ten times slower.
var seeds = flag.Int("seeds", 40, "seeds of each scene")

// tries is how many times a scene with a mistake is played.
const tries = 12
