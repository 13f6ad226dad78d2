// Package journal is the durable, tamper-evident record of evaluations: an evaluation is appended
// before it is answered, so that no answer exists without a record.
//
// The room holds what all drivers share: the form in which an evaluation is stored, the chain, the
// keys, the checkpoints and their verification. A driver (journal/sqlite) keeps the rows; the suite
// in journal/journaltest says what every driver has to do. The journal never judges: it neither
// reads an outcome to act on it nor refuses one.
//
// # The chain
//
// Entries are numbered from 1 without gaps. An entry's hash covers its number, the hash of the entry
// before it, and every column, each with its length in front (see [Row]); the first entry follows a
// hash of the journal's random id. Changing, inserting, moving or removing an entry therefore
// breaks the chain at that entry. The hash also covers a seal, a keyed hash of the same columns:
// only the holder of the key file can write an entry that the gateway believes.
//
// Checkpoints are signed notes (golang.org/x/mod/sumdb/note, Ed25519) with the journal's id, the
// number of entries, the hash of the last one, the time, and the hash of the checkpoint before.
// One is written every [Settings.CheckpointEvery] entries, every [Settings.CheckpointInterval] if
// there is something new, and when the journal is closed. They are kept beside the entries and, with
// [Settings.CheckpointFile], appended to a file that ought to be shipped to a place that whoever
// administers the journal cannot change. Such a copy is called an anchor.
//
// # What verification finds
//
// With the public key alone: a changed, missing, inserted or moved entry; a checkpoint that was
// changed, forged, or removed from between others; entries cut off after a checkpoint that is still
// there; entries written anew from somewhere on (a fork) as far as a checkpoint covers them. With
// anchors: also entries and checkpoints cut off together, the return of an older copy, and another
// journal in place of this one, up to the newest anchor.
//
// # What it cannot find
//
// The tail: entries after the newest anchored checkpoint can be cut off, together with the
// checkpoints that are only kept beside them, without a trace. The default settings keep that window
// at 100 entries or 60 seconds, plus the time the copy takes to arrive. Entries after the newest
// checkpoint of any kind can be replaced as well; the gateway itself refuses to go on from there,
// for want of a right seal, but the public key cannot tell.
//
// The insider with the key: whoever can read the key file can write entries, seal and sign them,
// and so rewrite everything after the newest anchor. The gateway's own host can always lie about
// what it has not yet written. And the journal cannot know about evaluations that never reached it.
//
// # What it stores
//
// The justification text is not stored unless the operator turns it on: a keyed hash, its length and
// the ticket numbers in it take its place ([Justification]). The answer is stored byte for byte, so
// a policy that quotes the justification in a reason puts it there.
package journal
