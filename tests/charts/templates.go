package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template/parse"
)

// templateReads lists the paths below `.Values` that a chart's templates read.
// Charts read keys that their values.yaml only mentions in a comment.
func templateReads(folder string) ([][]string, error) {
	var reads reads
	err := filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), "{{") {
			return err
		}
		inFolder, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		err = reads.parse(inFolder, string(text))
		if strings.HasPrefix(inFolder, "templates"+string(filepath.Separator)) {
			return err
		}
		// Elsewhere are the templates with which istiod injects proxies, which
		// read the same values, but also documents that are no templates.
		return nil
	})
	return reads.paths, err
}

// reads walks the syntax of templates. It knows what `.` stands for inside of
// `with`, and takes it for the root in `define`, as charts nearly always have
// it. A place it cannot tell is passed over: then the key must be known from
// elsewhere.
type reads struct{ paths [][]string }

func (r *reads) parse(name, text string) error {
	tree := parse.New(name)
	tree.Mode = parse.SkipFuncCheck
	trees := map[string]*parse.Tree{}
	if _, err := tree.Parse(text, "", "", trees); err != nil {
		return fmt.Errorf("reading templates: %w", err)
	}
	for _, tree := range trees {
		r.walk(tree.Root, []string{})
	}
	return nil
}

// walk visits a node. dot is the path of `.` from the root, nil for unknown.
func (r *reads) walk(node parse.Node, dot []string) {
	switch node := node.(type) {
	case *parse.ListNode:
		if node == nil {
			return
		}
		for _, child := range node.Nodes {
			r.walk(child, dot)
		}
	case *parse.ActionNode:
		r.resolve(node.Pipe, dot)
	case *parse.TemplateNode:
		r.resolve(node.Pipe, dot)
	case *parse.IfNode:
		r.branch(&node.BranchNode, dot, dot)
	case *parse.WithNode:
		r.branch(&node.BranchNode, dot, r.resolve(node.Pipe, dot))
	case *parse.RangeNode:
		r.branch(&node.BranchNode, dot, nil)
	}
}

func (r *reads) branch(node *parse.BranchNode, dot, inside []string) {
	r.resolve(node.Pipe, dot)
	r.walk(node.List, inside)
	r.walk(node.ElseList, dot)
}

// resolve returns the path that an expression stands for, nil when it is not
// a plain path, and notes every path read on the way.
func (r *reads) resolve(node parse.Node, dot []string) []string {
	var path []string
	switch node := node.(type) {
	case *parse.DotNode:
		path = dot
	case *parse.FieldNode:
		path = extend(dot, node.Ident...)
	case *parse.VariableNode:
		if node.Ident[0] == "$" {
			path = append([]string{}, node.Ident[1:]...)
		}
	case *parse.ChainNode:
		path = extend(r.resolve(node.Node, dot), node.Field...)
	case *parse.PipeNode:
		if node == nil {
			return nil
		}
		for _, command := range node.Cmds {
			path = r.command(command, dot)
		}
		if len(node.Cmds) != 1 {
			return nil
		}
	}
	return r.note(path)
}

// command resolves one command of a pipe, and the functions that take keys as
// strings: `index .Values "a"`, `hasKey .Values.a "b"`, `dig "a" "b" 1 .Values`.
func (r *reads) command(node *parse.CommandNode, dot []string) []string {
	if len(node.Args) == 1 {
		return r.resolve(node.Args[0], dot)
	}
	var paths [][]string
	var names []string
	for _, argument := range node.Args {
		if text, isText := argument.(*parse.StringNode); isText {
			names = append(names, text.Text)
		} else if path := r.resolve(argument, dot); path != nil {
			paths = append(paths, path)
		}
	}
	function, named := node.Args[0].(*parse.IdentifierNode)
	if !named || len(paths) != 1 {
		return nil
	}
	switch function.Ident {
	case "dig":
		// The argument before the last is the default; as a string it is no key.
		if _, isText := node.Args[len(node.Args)-2].(*parse.StringNode); isText {
			names = names[:len(names)-1]
		}
	case "index", "get", "hasKey":
	default:
		return nil
	}
	path := extend(paths[0], names...)
	return r.note(path)
}

// note keeps a path that lies below `.Values`.
func (r *reads) note(path []string) []string {
	if len(path) > 1 && path[0] == "Values" {
		r.paths = append(r.paths, path[1:])
	}
	return path
}

func extend(path []string, names ...string) []string {
	if path == nil {
		return nil
	}
	return append(append([]string{}, path...), names...)
}
