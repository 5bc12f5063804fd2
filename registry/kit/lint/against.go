package lint

import "aspects-poc/registry/kit/document"

func (c *checker) checkAgainst(old *document.Document) {}
