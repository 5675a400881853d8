package dialect

import "reflect"

// Weight is about how many bytes of memory the templates take and what is masked: all
// that a short declaration may make much of, since a setting can stand in many places.
func (d *Dialect) Weight() int {
	total := weightOf(d.body) + weightOfFields(d.headers) + weightOfFields(d.target.query)
	for _, s := range d.target.steps {
		total += weightOf(s.parts)
	}
	for _, secret := range d.masker.secrets {
		total += len(secret)
	}
	return total
}

func weightOfFields(fields []field) (total int) {
	for _, f := range fields {
		total += len(f.name) + weightOf(f.value)
	}
	return total
}

func weightOf(parts []part) int {
	total := cap(parts) * int(reflect.TypeFor[part]().Size())
	for _, p := range parts {
		total += len(p.text)
	}
	return total
}
