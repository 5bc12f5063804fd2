package calls

import "slices"

// flat reads a language with braces. It returns the functions, and all other statements in the order of the text.
func (r *codeReader) flat(list []token) []statement {
	var body []statement
	start := 0
	for i := 0; i < len(list); i++ {
		t := list[i]
		if t.kind != name || t.text != "func" && t.text != "function" && t.text != "sub" || i+1 >= len(list) || list[i+1].kind != name {
			continue
		}
		open := slices.IndexFunc(list[i:], func(t token) bool { return t.kind == sign && t.text == "{" }) + i
		if open < i {
			break
		}
		body = append(body, r.statements(list[start:i])...)
		end := matching(list, open)
		f := &define{name: list[i+1].text, parameters: []parameter{}, body: r.statements(list[open+1 : end])}
		if from := i + 2; from < len(list) && list[from].text == "(" {
			f.parameters = r.parameters(list[from+1 : matching(list, from)])
		}
		if f.name == "main" {
			body = append(body, f.body...)
		} else {
			body = append(body, f)
		}
		i, start = end, end+1
	}
	return append(body, r.statements(list[min(start, len(list)):])...)
}

// statements reads the text between braces. Each line, or part of a line up to a semicolon, is a statement. It does not read branches
// and loops: each statement may run or not.
func (r *codeReader) statements(list []token) []statement {
	var body []statement
	for len(list) > 0 {
		line, depth, n := list[0].at.Line, 0, 0
		for n < len(list) {
			t := list[n]
			if depth == 0 && n > 0 && (t.at.Line != line || t.text == ";" && t.kind == sign) && list[n-1].text != "," {
				break
			}
			line = t.at.Line
			if t.kind == sign {
				switch t.text {
				case "(", "[":
					depth++
				case ")", "]":
					depth--
				case "{":
					if n > 0 && (list[n-1].kind == name && list[max(n-2, 0)].text == "]" || list[n-1].text == "]") {
						depth += 1000 // the elements of a list
					}
				case "}":
					if depth >= 1000 {
						depth -= 1000
					}
				}
			}
			n++
		}
		n = max(n, 1)
		body = append(body, branch{arms: [][]statement{r.line(list[:n]), nil}})
		list = list[n:]
	}
	return body
}
