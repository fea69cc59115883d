package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
)

const tableStart, tableEnd = "<!-- The updater writes this table. -->\n", "<!-- End of the table. -->\n"

// summary is one row of the table in the README.
type summary struct {
	source source
	kinds  []string
	size   int
}

func summarize(source source, lines []line, size int) summary {
	var kinds []string
	for _, line := range lines {
		if line.Scope == "" {
			continue
		}
		apiVersion, kind := line.Key[:strings.LastIndex(line.Key, "/")], line.Key[strings.LastIndex(line.Key, "/")+1:]
		version := apiVersion[strings.LastIndex(apiVersion, "/")+1:]
		kinds = append(kinds, kind+" "+version)
	}
	slices.Sort(kinds)
	return summary{source, slices.Compact(kinds), size}
}

// updateTable replaces the table between the two marks of a file.
func updateTable(path string, summaries []summary) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(document, []byte(tableStart))
	_, after, closed := bytes.Cut(rest, []byte(tableEnd))
	if !found || !closed {
		return fmt.Errorf("%s has no place for the table", path)
	}
	var updated bytes.Buffer
	updated.Write(before)
	updated.WriteString(tableStart)
	updated.WriteString("\n| file | module | version | licence | size | kinds |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, row := range summaries {
		fmt.Fprintf(&updated, "| `%s.jsonl` | `%s` | %s | %s | %d KiB | %s |\n",
			row.source.Project, row.source.Module, strings.Join(row.source.Versions, ", "),
			row.source.License, (row.size+1023)/1024, row.describeKinds())
	}
	updated.WriteString("\n")
	updated.WriteString(tableEnd)
	updated.Write(after)
	return os.WriteFile(path, updated.Bytes(), 0o644)
}

func (s summary) describeKinds() string {
	if s.source.OpenAPI != "" {
		return fmt.Sprintf("all %d that are objects of their own", len(s.kinds))
	}
	kinds := strings.Join(s.kinds, ", ")
	if s.source.Handwritten != "" {
		return kinds + " (written by hand)"
	}
	return kinds
}
