package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

// csvEntries reads a table whose first line names the fields (RFC 4180, separated by commas). An empty
// cell is unknown, the word none is none.
func csvEntries(r *report, data []byte) []entry {
	reader := csv.NewReader(bytes.NewReader(data))
	header := csvHeader(r, reader)
	if header == nil {
		return nil
	}
	var entries []entry
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			addCSV(r, err)
			return nil // What follows may be shifted.
		}
		entries = append(entries, csvEntry(reader, header, record))
	}
	if len(entries) == 0 {
		r.add(header[0].place, "has no records below the names of the fields")
	}
	return entries
}

// column is one name of the first line.
type column struct {
	place
	name string
}

func csvHeader(r *report, reader *csv.Reader) []column {
	names, err := reader.Read()
	switch {
	case errors.Is(err, io.EOF):
		r.add(place{}, "is empty; the first line names the fields")
		return nil
	case err != nil:
		addCSV(r, err)
		return nil
	}
	header, seen := make([]column, len(names)), map[string]bool{}
	for i, name := range names {
		header[i] = column{placeIn(reader, i), strings.TrimSpace(name)}
		if seen[header[i].name] {
			r.add(header[i].place, "%s is there twice", quoted(header[i].name))
		}
		seen[header[i].name] = true
	}
	return header
}

func placeIn(reader *csv.Reader, i int) place {
	line, at := reader.FieldPos(i)
	return place{line, at}
}

// csvEntry reads one line; the reader has seen to it that it is as long as the first.
func csvEntry(reader *csv.Reader, header []column, record []string) entry {
	e := entry{placeIn(reader, 0), map[string]cell{}}
	for i, text := range record {
		text = strings.TrimSpace(text)
		if text != "" {
			e.cells[header[i].name] = cell{place: placeIn(reader, i), key: header[i].place, text: text, none: text == noneWord}
		}
	}
	return e
}

func addCSV(r *report, err error) {
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		r.add(place{syntax.Line, max(syntax.Column, 1)}, "%v", syntax.Err)
		return
	}
	r.add(place{}, "cannot be read as CSV")
}
