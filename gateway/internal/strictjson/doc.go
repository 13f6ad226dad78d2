// Package strictjson decodes JSON that an adversary may have written, into a small read-only tree.
//
// It accepts one reading of a document and refuses every document that another parser could read
// differently: duplicate member names (also when one of them is escaped), names that only differ by
// Unicode simple case folding (so that U+017F and U+212A cannot pose as s and k), invalid UTF-8, lone
// surrogates, anything after the first value, and whatever is deeper, longer or larger than its limits.
// Values are never converted: a number is no string and a string is no number.
//
// It performs no I/O and knows nothing of the documents it reads.
package strictjson
