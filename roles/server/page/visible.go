package page

import (
	"strings"

	"aspects-poc/internal/plain"
)

// visible escapes in the text of a rendered page what a reader would not see, such as characters that change the direction of text: they
// make one name look like another. Attributes and text areas stay as they are, because forms send them back. The templates have
// escaped each < and > in them.
func visible(page string) string {
	if plain.Text(page) == page { // nearly always
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
