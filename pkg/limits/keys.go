package limits

// What the keys of the table's items begin with. The roles of the stack let a function write only
// the keys that it writes, where it writes one item at a time.
const (
	KeyRecord      = "EVT#"   // an event's record
	KeyFact        = "FACT#"  // what an event stated once
	KeyMessage     = "OUT#"   // a message to be sent
	KeyCoverage    = "COVER#" // a slice that a pass has compared
	KeyBegin       = "BEGIN#" // the start of an account's history
	KeyDelivery    = "DLV#"   // a message's delivery to a destination
	KeySequence    = "SEQ#"   // the number of an object's deliveries
	KeyDestination = "DST#"   // the state of a destination
	KeyToken       = "TOK#"   // the tokens of a destination's receiver
	KeyAudit       = "AUDIT#" // an operator's change

	KeyPosition = "OPS#verify" // the whole key of the comparison's position
	KeyDLQLock  = "OPS#dlq"    // the whole key of the lock on the dead-letter queue
	KeyHoldLock = "OPS#hold"   // the whole key of the lock on the hold queue
	KeyPause    = "OPS#pause"  // the whole key of the switch: what is paused
)
