package unit

import (
	"github.com/megabin/megabin/layers/abi"
	"github.com/megabin/megabin/layers/wasmenc"
)

// Sections of a unit.
const (
	metaSection  = "megabin.unit"
	sitesSection = "megabin.sites"
)

const callLen = wasmenc.PaddedLen

func isCall(op byte) bool { return op == wasmenc.OpCall || op == wasmenc.OpReturnCall }

// AppendPrelude appends the start of a module: header, type section and
// import section as the ABI has them. withUnit adds the imports of unit.lin
// and unit.slots, which a unit and the megabinary have; a part has globals of
// its own in their place.
func AppendPrelude(b []byte, withUnit bool) []byte {
	b = append(b, wasmenc.Header...)
	b = wasmenc.AppendSection(b, wasmenc.SectionType, typeSection())
	return wasmenc.AppendSection(b, wasmenc.SectionImport, importSection(withUnit))
}

func typeSection() []byte {
	b := wasmenc.AppendU(nil, uint64(len(abi.Types)))
	for _, t := range abi.Types {
		b = append(b, wasmenc.TypeFuncForm)
		b = appendTypes(b, t.Params)
		b = appendTypes(b, t.Results)
	}
	return b
}

func appendTypes(b []byte, list []abi.ValType) []byte {
	b = wasmenc.AppendU(b, uint64(len(list)))
	for _, t := range list {
		b = append(b, byte(t))
	}
	return b
}

func importSection(withUnit bool) []byte {
	n := int(abi.NumImports) + int(abi.NumTables) + int(abi.NumRegs)
	if withUnit {
		n += 2
	}
	b := wasmenc.AppendU(nil, uint64(n))
	for _, f := range abi.Imports {
		b = appendImport(b, abi.Module, f.Name, wasmenc.KindFunc, byte(f.Type))
	}
	for i, name := range abi.TableNames {
		b = appendImport(b, abi.Module, name, wasmenc.KindTable, append([]byte{byte(abi.Funcref)}, abi.TableLimits[i]...)...)
	}
	for r := range abi.NumRegs {
		b = appendImport(b, abi.Module, r.String(), wasmenc.KindGlobal, byte(r.Type()), wasmenc.Mutable)
	}
	if withUnit {
		for _, name := range []string{abi.LinName, abi.SlotsName} {
			b = appendImport(b, abi.UnitModule, name, wasmenc.KindGlobal, byte(abi.I32), wasmenc.Immutable)
		}
	}
	return b
}

func appendImport(b []byte, module, name string, kind byte, desc ...byte) []byte {
	b = wasmenc.AppendName(b, module)
	b = wasmenc.AppendName(b, name)
	return append(append(b, kind), desc...)
}

// AppendFunctions appends a function section of n guest functions followed by
// functions of the given types, and the section of Memory.
func AppendFunctions(b []byte, n int, more ...byte) []byte {
	content := wasmenc.AppendU(nil, uint64(n+len(more)))
	for range n {
		content = append(content, abi.TypeFunc)
	}
	b = wasmenc.AppendSection(b, wasmenc.SectionFunction, append(content, more...))
	const memories = 1
	return wasmenc.AppendSection(b, wasmenc.SectionMemory, append([]byte{memories}, Memory()...))
}

// Memory is the type of a module's memory. It is the guest's: whoever instantiates the
// module gives it that. To the engine an imported one is a load further away.
func Memory() []byte {
	const hasMax = 1
	return wasmenc.AppendU(wasmenc.AppendU([]byte{hasMax}, abi.MemoryPages), abi.MemoryPages)
}
