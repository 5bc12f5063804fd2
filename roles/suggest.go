package roles

import (
	"strconv"
	"strings"
)

// suggest ends the refusal of an unknown name with those known ones that may have been meant, else with all of them.
func suggest(name string, known []string) string {
	var near []string
	best := 1 + len(name)/4
	for _, candidate := range known {
		away := distance(name, candidate)
		if strings.HasPrefix(candidate, name+"-") {
			away = min(away, 1)
		}
		if away > best {
			continue
		}
		if away < best {
			best, near = away, nil
		}
		near = append(near, strconv.Quote(candidate))
	}
	if len(near) == 0 {
		return "; known are " + strings.Join(known, ", ")
	}
	return "; did you mean " + strings.Join(near, " or ") + "?"
}

// distance is how many letters have to be put in, left out or exchanged to make one word of the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			exchanged := diagonal
			if a[i] != b[j] {
				exchanged++
			}
			diagonal = row[j+1]
			row[j+1] = min(exchanged, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
