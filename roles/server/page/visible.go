package page

import (
	"strings"

	"aspects-poc/internal/plain"
)

// visible escapes invisible characters in the text of a rendered page, such as those that change the direction of text,
// because they make one name look like another. It does not change attributes and text areas, because forms send them
// back. The templates have escaped each < and > in them.
func visible(page string) string {
	if plain.Text(page) == page { // almost always
		return page
	}
	var out strings.Builder
	for page != "" {
		text, tag, found := strings.Cut(page, "<")
		out.WriteString(plain.Text(text))
		if !found {
			break
		}
		end := ">"
		if strings.HasPrefix(tag, "textarea") {
			end = "</textarea>"
		}
		tag, page, _ = strings.Cut(tag, end)
		out.WriteString("<" + tag + end)
	}
	return out.String()
}
