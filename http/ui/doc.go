// Package ui makes the pages of the dashboard: what is to be shown goes in, HTML
// comes out. It is pure. It asks nobody, knows no request, and reads no clock but
// the time that each page is made for; who may see what was decided before, and
// what a person may not see is not in what it is given.
//
// # Pages
//
// Each page is a struct that embeds a [Frame] and a method of [Pages]. A struct has
// what is known, in the types of package data, and the templates say it in words:
// words.go has the words for states and reasons, numbers.go those for numbers and
// times.
//
// # What others wrote
//
// Texts, answers and names of types come from anybody. They are escaped by
// html/template for the place that they stand at, and text.go shows what cannot
// be seen, or would change how the text around it is read, as a visible escape.
//
// # Nothing from elsewhere
//
// Style sheet, script and icon are our own, embedded, and served under names that
// change with what is in them. No page has a script, a style or a handler within
// it, so that a browser can be told to run none ([Policy]). Every page says what it
// has to without the script; that only keeps it fresh.
package ui
