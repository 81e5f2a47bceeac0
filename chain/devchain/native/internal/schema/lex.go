package schema

import (
	"fmt"
	"strings"
)

// lexer splits a declaration into words and single punctuation characters.
// Lines that start with # are comments.
type lexer struct {
	file string
	src  string
	pos  int
	tok  string // current token; empty at the end
}

func newLexer(file, src string) *lexer {
	l := &lexer{file: file, src: src}
	l.next()
	return l
}

func isWord(c byte) bool {
	return c == '_' || c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// next moves to the next token. A word is letters, digits, _ and ::, so that a
// path is one token; a single colon ends a word.
func (l *lexer) next() {
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		if c == '#' {
			end := strings.IndexByte(l.src[l.pos:], '\n')
			if end < 0 {
				end = len(l.src) - l.pos
			}
			l.pos += end
			continue
		}
		if c != ' ' && c != '\t' && c != '\n' {
			break
		}
		l.pos++
	}
	if l.pos >= len(l.src) {
		l.tok = ""
		return
	}
	start := l.pos
	switch c := l.src[l.pos]; {
	case c == '-' && strings.HasPrefix(l.src[l.pos:], "->"):
		l.pos += 2
	case !isWord(c) || c == ':':
		l.pos++
	default:
		for l.pos < len(l.src) && isWord(l.src[l.pos]) {
			if l.src[l.pos] == ':' {
				if !strings.HasPrefix(l.src[l.pos:], "::") {
					break
				}
				l.pos++
			}
			l.pos++
		}
	}
	l.tok = l.src[start:l.pos]
}

// syntaxError unwinds the parser; Build turns it into an error.
type syntaxError struct{ msg string }

func (l *lexer) fail(want string) {
	line := 1 + strings.Count(l.src[:l.pos], "\n")
	panic(syntaxError{fmt.Sprintf("%s:%d: %q where %s should be", l.file, line, l.tok, want)})
}

// accept skips the token if it is tok.
func (l *lexer) accept(tok string) bool {
	if l.tok != tok {
		return false
	}
	l.next()
	return true
}

// expect skips the token, which must be tok.
func (l *lexer) expect(tok string) {
	if !l.accept(tok) {
		l.fail(tok)
	}
}

// word returns the token, which must be a word, and moves on.
func (l *lexer) word() string {
	if l.tok == "" || !isWord(l.tok[0]) || l.tok[0] == ':' {
		l.fail("a word")
	}
	w := l.tok
	l.next()
	return w
}

// number returns the token, which must be a small decimal number.
func (l *lexer) number() uint32 {
	var n uint32
	w := l.word()
	for _, c := range w {
		if c < '0' || c > '9' || n > 1<<24 {
			l.fail("a number")
		}
		n = n*10 + uint32(c-'0')
	}
	return n
}
