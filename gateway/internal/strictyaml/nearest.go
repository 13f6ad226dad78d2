package strictyaml

import (
	"fmt"
	"strings"
)

// Nearest is the known word that a misspelt one probably means; false if none is near.
func Nearest(word string, known []string) (string, bool) {
	best, bestDistance := "", max(2, len(word)/3)+1
	for _, k := range known {
		if distance := editDistance(strings.ToLower(word), strings.ToLower(k)); distance < bestDistance && distance < len(k) {
			best, bestDistance = k, distance
		}
	}
	return best, best != ""
}

// maxWord bounds the words that are compared; a longer one is no misspelling.
const maxWord = 64

// editDistance counts insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return maxWord
	}
	var rows [3][maxWord + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func remedyForKey(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known keys: " + strings.Join(known, ", ")
}

func remedyForWord(word string, known []string) string {
	if near, ok := Nearest(word, known); ok {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "write one of " + strings.Join(known, ", ")
}
