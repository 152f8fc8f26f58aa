package manifest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// checker checks a value against the part of JSON Schema 2020-12 that
// schema.json uses; a keyword it does not know is an error.
type checker struct{ root map[string]any }

func (c checker) check(at string, schema map[string]any, v any) error {
	for keyword, arg := range schema {
		if err := c.keyword(at, keyword, arg, v); err != nil {
			return err
		}
	}
	return nil
}

func (c checker) keyword(at, keyword string, arg, v any) error {
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description":
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		return c.check(at, c.root["$defs"].(map[string]any)[name].(map[string]any), v)
	case "type":
		if got := typeOf(v); got != arg {
			return fmt.Errorf("%s: is %s, not %s", at, got, arg)
		}
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := v.(map[string]any)[name.(string)]; !ok {
				return fmt.Errorf("%s: no %s", at, name)
			}
		}
	case "properties":
		for name, member := range v.(map[string]any) {
			sub, ok := arg.(map[string]any)[name].(map[string]any)
			if !ok {
				return fmt.Errorf("%s: the schema has no %s", at, name)
			}
			if err := c.check(at+"."+name, sub, member); err != nil {
				return err
			}
		}
	case "items":
		for i, e := range v.([]any) {
			if err := c.check(fmt.Sprintf("%s[%d]", at, i), arg.(map[string]any), e); err != nil {
				return err
			}
		}
	case "pattern":
		if !regexp.MustCompile(arg.(string)).MatchString(v.(string)) {
			return fmt.Errorf("%s: %q does not match %s", at, v, arg)
		}
	case "minimum":
		low, _ := arg.(json.Number).Int64()
		if n, err := v.(json.Number).Int64(); err != nil || n < low {
			return fmt.Errorf("%s: %v is less than %d", at, v, low)
		}
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return fmt.Errorf("%s: %v is none of %v", at, v, arg)
		}
	default:
		return fmt.Errorf("%s: unknown keyword %s", at, keyword)
	}
	return nil
}

func typeOf(v any) string {
	switch v := v.(type) {
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "integer"
		}
		return "number"
	}
	return fmt.Sprintf("%T", v)
}
