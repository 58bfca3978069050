/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pickles of checkpoints: tables of tensors are read, everything else is
 * refused by name, and nothing in a pickle is executed.
 */
#include "pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "torch_files.h"
#include "xmalloc.h"

#define P(s)		s, sizeof s - 1
#define KEY		PK_STRING("\x01", "a")
#define HALF		PK_STORAGE("HalfStorage", "0", "K\x06")
#define PAIR(a, b)	"K" a "K" b "\x86"
#define ONE(tensor)	PK_START "}" KEY tensor "s."

/* Tables, and the tensor named "a" in them. */
static const struct {
	const char		*bytes;
	size_t			 n;
	size_t			 tensors;
	struct pickle_tensor	 a;
} good[] = {
	{ P(PK_START "}."), 0, { 0 } },
	{ P(PK_START PK_DICT "."), 0, { 0 } },
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x02", "\x03"),
	    PAIR("\x03", "\x01")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 6,
	    .dims = 2, .contiguous = 1, .shape = { 2, 3 } } },
	/* the second row of three */
	{ P(ONE(PK_TENSOR(HALF, "K\x02", "K\x02\x85", "K\x01\x85"))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .offset = 2,
	    .extent = 2, .dims = 1, .contiguous = 1, .shape = { 2 } } },
	/* transposed, a column, the same number repeatedly */
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x03", "\x02"),
	    PAIR("\x01", "\x03")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 6,
	    .dims = 2, .contiguous = 0, .shape = { 3, 2 },
	    .stride = { 1, 3 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\x01", "K\x02\x85", "K\x03\x85"))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .offset = 1,
	    .extent = 4, .dims = 1, .contiguous = 0, .shape = { 2 },
	    .stride = { 3 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\0", "K\xff\x85", "K\0\x85"))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 1,
	    .dims = 1, .contiguous = 0, .overlaps = 1, .shape = { 255 } } },
	/* rows that overlap, and rows that just do not */
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x02", "\x03"),
	    PAIR("\x02", "\x01")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 5,
	    .dims = 2, .overlaps = 1, .shape = { 2, 3 },
	    .stride = { 2, 1 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x02", "\x02"),
	    PAIR("\x03", "\x01")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 5,
	    .dims = 2, .shape = { 2, 2 }, .stride = { 3, 1 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x02", "\x02"),
	    PAIR("\x02", "\x02")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 5,
	    .dims = 2, .overlaps = 1, .shape = { 2, 2 },
	    .stride = { 2, 2 } } },
	/* strides of dimensions with one or no elements are ignored */
	{ P(ONE(PK_TENSOR(HALF, "K\0", PAIR("\x01", "\x06"),
	    PAIR("\x63", "\x01")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 6,
	    .dims = 2, .contiguous = 1, .shape = { 1, 6 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\x06", PAIR("\x00", "\x63"),
	    PAIR("\x63", "\x63")))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .offset = 6,
	    .dims = 2, .contiguous = 1, .shape = { 0, 99 } } },
	{ P(ONE(PK_TENSOR(HALF, "K\x05", ")", ")"))), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .offset = 5,
	    .extent = 1, .contiguous = 1 } },
	/* other types, other sizes of numbers */
	{ P(ONE(PK_TENSOR(PK_STORAGE("BFloat16Storage", "7", "M\x00\x01"),
	    "M\x00\x00", "M\x00\x01\x85", "J\x01\0\0\0\x85"))), 1,
	    { .key = "7", .type = PICKLE_BF16, .elems = 256, .extent = 256,
	    .dims = 1, .contiguous = 1, .shape = { 256 } } },
	{ P(ONE(PK_TENSOR(PK_STORAGE("FloatStorage", "7",
	    "\x8a\x05\x00\x00\x00\x00\x01"), "\x8a\x00",
	    "\x8a\x05\x00\x00\x00\x00\x01\x85", "\x8a\x01\x01\x85"))), 1,
	    { .key = "7", .type = PICKLE_F32, .elems = 4294967296,
	    .extent = 4294967296, .dims = 1, .contiguous = 1,
	    .shape = { 4294967296 } } },
	{ P(ONE(PK_TENSOR(PK_STORAGE("DoubleStorage", "1", "K\x01"), "K\0",
	    ")", ")"))), 1, { .key = "1", .type = PICKLE_F64, .elems = 1,
	    .extent = 1, .contiguous = 1 } },
	{ P(ONE(PK_TENSOR(PK_STORAGE("ByteStorage", "1", "K\x01"), "K\0",
	    ")", ")"))), 1, { .key = "1", .type = PICKLE_U8, .elems = 1,
	    .extent = 1, .contiguous = 1 } },
	{ P(ONE(PK_TENSOR(PK_STORAGE("BoolStorage", "1", "K\x01"), "K\0",
	    ")", ")"))), 1, { .key = "1", .type = PICKLE_BOOL, .elems = 1,
	    .extent = 1, .contiguous = 1 } },
	{ P(ONE(PK_TENSOR(PK_STORAGE("LongStorage", "1", "K\x01"), "K\0",
	    ")", ")"))), 1, { .key = "1", .type = PICKLE_I64, .elems = 1,
	    .extent = 1, .contiguous = 1 } },
	/* a parameter; memo; SETITEMS; _metadata */
	{ P(ONE(PK_GLOBAL("torch._utils", "_rebuild_parameter")
	    PK_TENSOR(HALF, "K\0", ")", ")") "\x88" PK_DICT "\x87R")), 1,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 1,
	    .contiguous = 1 } },
	{ P(PK_START PK_DICT "q\0(" KEY PK_TENSOR(HALF, "K\0", ")", ")")
	    "r\x00\x01\0\0" PK_STRING("\x01", "b") "j\x00\x01\0\0u"
	    "}" PK_STRING("\x09", "_metadata") PK_DICT "(" PK_STRING("\0", "")
	    "}" PK_STRING("\x07", "version") "K\x01sus" "b."), 2,
	    { .key = "0", .type = PICKLE_F16, .elems = 6, .extent = 1,
	    .contiguous = 1 } }
};

/* Valid tables are read. */
static void
tables_of_tensors_are_read(void **state)
{
	const struct pickle_tensor	*want, *got;
	struct pickle_table		 t;
	struct fault			 f;
	size_t				 i;

	(void)state;
	for (i = 0; i < nitems(good); i++) {
		if (pickle_read("some.bin", (const uint8_t *)good[i].bytes,
		    good[i].n, &t, &f) != PICKLE_OK)
			fail_msg("case %zu: %s", i, f.message);
		assert_int_equal(t.n, good[i].tensors);
		want = &good[i].a;
		if ((got = t.tensors) != NULL && t.n > 0) {
			assert_string_equal(got->name, "a");
			assert_string_equal(got->key, want->key);
			assert_int_equal(got->type, want->type);
			assert_int_equal(got->elems, want->elems);
			assert_int_equal(got->offset, want->offset);
			if (got->extent != want->extent ||
			    got->contiguous != want->contiguous ||
			    got->overlaps != want->overlaps ||
			    (!want->contiguous && memcmp(got->stride,
			    want->stride, sizeof got->stride) != 0))
				fail_msg("case %zu: extent %lld, %d", i,
				    (long long)got->extent, got->contiguous);
			assert_int_equal(got->dims, want->dims);
			assert_memory_equal(got->shape, want->shape,
			    sizeof got->shape);
		}
		pickle_clear(&t);
	}
}

#define HUGE		"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"
#define TENSOR(args)	PK_GLOBAL("torch._utils", "_rebuild_tensor_v2") args

/* Pickles that are refused. */
static const struct {
	enum pickle_error	 error;
	const char		*bytes;
	size_t			 n;
	const char		*words;
} bad[] = {
	{ PICKLE_PROTOCOL, P(""), "byte 0: expected a pickle of protocol 2" },
	{ PICKLE_PROTOCOL, P("}.."), "protocol 2" },
	{ PICKLE_PROTOCOL, P("\x80\x04}."), "protocol 4: expected 2" },
	{ PICKLE_END, P(PK_START), "no end" },
	{ PICKLE_END, P(PK_START "}"), "no end" },
	{ PICKLE_END, P(PK_START "M\x01"), "byte 2: the pickle ends inside" },
	{ PICKLE_END, P(PK_START "X\x02\0\0\0a"), "ends inside" },
	{ PICKLE_END, P(PK_START "ccollections"), "ends inside" },
	{ PICKLE_END, P(PK_START "ccollections\nOrd"), "ends inside" },
	{ PICKLE_TRAILING, P(PK_START "}.."), "after the end" },
	/* opcodes of text, of lists, of other protocols */
	{ PICKLE_OPCODE, P(PK_START "I1\n."), "unknown opcode 0x49" },
	{ PICKLE_OPCODE, P(PK_START "]."), "byte 2: unknown opcode 0x5d" },
	{ PICKLE_OPCODE, P(PK_START "0."), "unknown opcode 0x30" },
	{ PICKLE_OPCODE, P(PK_START "2."), "unknown opcode 0x32" },
	{ PICKLE_OPCODE, P(PK_START "\x80\x02."), "unknown opcode 0x80" },
	{ PICKLE_OPCODE, P(PK_START "\x95\0\0\0\0\0\0\0\0."),
	    "unknown opcode 0x95" },
	{ PICKLE_OPCODE, P(PK_START "\xff."), "unknown opcode 0xff" },
	{ PICKLE_OPCODE, P(PK_START "Pid\n."), "forbidden opcode PERSID" },
	{ PICKLE_OPCODE, P(PK_START "\x82\x01."), "forbidden opcode EXT1" },
	{ PICKLE_OPCODE, P(PK_START "\x83\x01\0."), "opcode EXT2" },
	{ PICKLE_OPCODE, P(PK_START "\x84\x01\0\0\0."), "opcode EXT4" },
	{ PICKLE_OPCODE, P(PK_START "\x8b\x01\0\0\0\0."), "opcode LONG4" },
	/* names: by every instruction that can fetch or call one */
	{ PICKLE_GLOBAL, P(PK_START "cos\nsystem\nX\x04\0\0\0true\x85R."),
	    "byte 2: forbidden global \"os.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "cposix\nsystem\nX\x04\0\0\0true\x85R."),
	    "forbidden global \"posix.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "cbuiltins\neval\nX\x01\0\0\0""1\x85R."),
	    "forbidden global \"builtins.eval\"" },
	{ PICKLE_GLOBAL, P(PK_START "c__builtin__\nexec\n."),
	    "forbidden global \"__builtin__.exec\"" },
	{ PICKLE_GLOBAL, P(PK_START "ctorch\nload\n."),
	    "forbidden global \"torch.load\"" },
	{ PICKLE_GLOBAL, P(PK_START "ctorch.serialization\nHalfStorage\n."),
	    "forbidden global" },
	{ PICKLE_GLOBAL, P(PK_START "ctorch\nIntStorage\n."),
	    "forbidden global \"torch.IntStorage\"" },
	{ PICKLE_GLOBAL, P(PK_START "ccollections.OrderedDict\n\n."),
	    "forbidden global" },
	{ PICKLE_GLOBAL, P(PK_START "cos\033[2J\nsystem\n."),
	    "forbidden global \"os?[2J.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "(X\x04\0\0\0trueios\nsystem\n."),
	    "byte 12: forbidden global \"os.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "X\x02\0\0\0osX\x06\0\0\0system\x93)R."),
	    "byte 20: forbidden global \"os.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "K\x01K\x02\x93)R."),
	    "forbidden global \"?.?\"" },
	{ PICKLE_GLOBAL, P(PK_START "(cos\nsystem\nX\x04\0\0\0trueo."),
	    "forbidden global \"os.system\"" },
	{ PICKLE_GLOBAL, P(PK_START "cos\nsystem\n)\x81."),
	    "forbidden global \"os.system\"" },
	{ PICKLE_GLOBAL, P(PK_START PK_DICT "cos\nsystem\nb."),
	    "forbidden global \"os.system\"" },
	{ PICKLE_OPCODE, P(PK_START "(icollections\nOrderedDict\n."),
	    "forbidden opcode INST" },
	{ PICKLE_OPCODE, P(PK_START PK_STRING("\x05", "torch")
	    PK_STRING("\x0b", "HalfStorage") "\x93."),
	    "forbidden opcode STACK_GLOBAL" },
	{ PICKLE_OPCODE, P(PK_START "(ccollections\nOrderedDict\no."),
	    "forbidden opcode OBJ" },
	{ PICKLE_OPCODE, P(PK_START "ccollections\nOrderedDict\n)\x81."),
	    "forbidden opcode NEWOBJ" },
	{ PICKLE_OPCODE, P(PK_START "ccollections\nOrderedDict\n)}\x92."),
	    "forbidden opcode NEWOBJ_EX" },
	/* the stack, marks, the memo */
	{ PICKLE_STACK, P(PK_START "q\0."), "takes 1 values, 0 are there" },
	{ PICKLE_STACK, P(PK_START "K\x01\x86."), "takes 2 values, 1" },
	{ PICKLE_STACK, P(PK_START "R."), "takes 2 values" },
	{ PICKLE_STACK, P(PK_START "Q."), "takes 1 values" },
	{ PICKLE_STACK, P(PK_START "b."), "takes 2 values" },
	{ PICKLE_STACK, P(PK_START "\x93."), "takes 2 values" },
	{ PICKLE_STACK, P(PK_START "NNs."), "takes 3 values" },
	{ PICKLE_STACK, P(PK_START "(u."), "takes 1 values" },
	{ PICKLE_STACK, P(PK_START "}(q\0."), "takes 1 values, 0" },
	{ PICKLE_MARK, P(PK_START "t."), "but there is no mark" },
	{ PICKLE_MARK, P(PK_START "}u."), "but there is no mark" },
	{ PICKLE_MEMO, P(PK_START "h\0."), "memo number 0 was never stored" },
	{ PICKLE_MEMO, P(PK_START "}q\0h\x01."), "never stored" },
	{ PICKLE_MEMO, P(PK_START "j\xff\xff\xff\xff."), "never stored" },
	{ PICKLE_MEMO, P(PK_START "}r\xff\xff\xff\xff."),
	    "memo number 4294967295" },
	{ PICKLE_MEMO, P(PK_START "}r\x00\x00\x10\x00."), "1048576: expected" },
	/* strings and integers */
	{ PICKLE_STRING, P(PK_START "X\x00\x00\x00\x80."), "2147483648" },
	{ PICKLE_STRING, P(PK_START "X\xff\xff\xff\xff."), "4294967295" },
	{ PICKLE_STRING, P(PK_START "X\x01\0\0\0\n."), "control character" },
	{ PICKLE_STRING, P(PK_START "X\x01\0\0\0\0."), "control character" },
	{ PICKLE_STRING, P(PK_START "X\x01\0\0\0\x7f."), "control character" },
	{ PICKLE_STRING, P(PK_START "X\x01\0\0\0\xff."), "UTF-8" },
	{ PICKLE_INTEGER, P(PK_START "\x8a\x09\0\0\0\0\0\0\0\0\x01."),
	    "9 bytes" },
	{ PICKLE_INTEGER, P(PK_START "\x8a\xff."), "255 bytes" },
	/* calls */
	{ PICKLE_CALL, P(PK_START "K\x01)R."), "not a function" },
	{ PICKLE_CALL, P(PK_START "ctorch\nHalfStorage\n)R."),
	    "not a function" },
	{ PICKLE_CALL, P(PK_START "ccollections\nOrderedDict\nNR."),
	    "not a function" },
	{ PICKLE_CALL, P(PK_START "ccollections\nOrderedDict\nK\x01\x85R."),
	    "OrderedDict: expected no arguments" },
	{ PICKLE_CALL, P(PK_START TENSOR(")R.")), "_rebuild_tensor_v2" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR("N", "K\0", ")", ")"))), "a storage" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "N", ")", ")"))), "an offset" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "K\0", "K\x01", ")"))), "sizes" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "K\0", "K\x01\x85", ")"))),
	    "sizes" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "K\0", "N\x85", "K\x01\x85"))),
	    "sizes" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "K\0", "K\x01\x85",
	    "J\xff\xff\xff\xff\x85"))), "strides" },
	{ PICKLE_CALL, P(ONE(PK_TENSOR(HALF, "K\0",
	    "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"
	    ))), "sizes" },
	{ PICKLE_CALL, P(PK_START PK_GLOBAL("torch._utils",
	    "_rebuild_parameter") "N\x88N\x87R."), "_rebuild_parameter" },
	/* tensors outside of their storage */
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "K\0", "K\x07\x85",
	    "K\x01\x85"))), "past its storage of 6" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "K\x06", ")", ")"))),
	    "past its storage" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "J\xff\xff\xff\xff", ")",
	    ")"))), "past its storage" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "K\0", "K\x02\x85",
	    "K\x06\x85"))), "past its storage" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, HUGE, "K\x02\x85",
	    "K\x01\x85"))), "past its storage" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "K\0", HUGE HUGE "\x86",
	    PAIR("\0", "\0")))), "past its storage" },
	{ PICKLE_TENSOR, P(ONE(PK_TENSOR(HALF, "K\0", HUGE "\x85",
	    HUGE "\x85"))), "past its storage" },
	/* storages */
	{ PICKLE_STORAGE, P(PK_START "NQ."), "not a storage" },
	{ PICKLE_STORAGE, P(PK_START ")Q."), "not a storage" },
	{ PICKLE_STORAGE, P(PK_START "(" PK_STRING("\x07", "storagf")
	    "ctorch\nHalfStorage\n" KEY KEY "K\x01tQ."), "not a storage" },
	{ PICKLE_STORAGE, P(PK_START PK_STORAGE("HalfStorage", "0",
	    "J\xff\xff\xff\xff") "."), "not a storage" },
	{ PICKLE_STORAGE, P(PK_START PK_STORAGE("HalfStorage", "/", "K\x01")
	    "."), "whose key is not a number" },
	{ PICKLE_STORAGE, P(PK_START "(" PK_STRING("\x07", "storage")
	    "ctorch._utils\n_rebuild_tensor_v2\n" KEY KEY "K\x01tQ."),
	    "not a storage" },
	/* dictionaries */
	{ PICKLE_DICT, P(PK_START "NNNs."), "not a dictionary" },
	{ PICKLE_DICT, P(PK_START "}(Nu."), "a key without a value" },
	{ PICKLE_DICT, P(PK_START "}Nb."), "BUILD" },
	{ PICKLE_DICT, P(PK_START "N}b."), "BUILD" },
	/* the result */
	{ PICKLE_RESULT, P(PK_START "."), "expected a dictionary" },
	{ PICKLE_RESULT, P(PK_START "N."), "expected a dictionary" },
	{ PICKLE_RESULT, P(PK_START "}}."), "expected a dictionary" },
	{ PICKLE_RESULT, P(PK_START "}(."), "expected a dictionary" },
	{ PICKLE_RESULT, P(ONE("}")), "found a that is not one" },
	{ PICKLE_RESULT, P(PK_START "}NNs."),
	    "found an entry that is not one" },
	{ PICKLE_RESULT, P(PK_START "}q\0" KEY "h\0s."), "found a that is" }
};

/* All of them are refused with the right words. */
static void
everything_else_is_refused_by_name(void **state)
{
	struct pickle_table	 t;
	struct fault		 f;
	enum pickle_error	 e;
	size_t			 i;

	(void)state;
	for (i = 0; i < nitems(bad); i++) {
		e = pickle_read("some.bin", (const uint8_t *)bad[i].bytes,
		    bad[i].n, &t, &f);
		if (e == PICKLE_OK)
			fail_msg("case %zu: taken; expected \"%s\"", i,
			    bad[i].words);
		if (e != bad[i].error || strstr(f.message, bad[i].words) ==
		    NULL)
			fail_msg("case %zu: expected %d \"%s\", found %d %s",
			    i, bad[i].error, bad[i].words, e, f.message);
	}
}

/* Every truncation of a valid pickle is refused. */
static void
a_cut_pickle_is_refused(void **state)
{
	struct pickle_table	 t;
	struct fault		 f;
	uint8_t			*b;
	size_t			 i, cut;

	(void)state;
	for (i = 0; i < nitems(good); i++)
		for (cut = 0; cut < good[i].n; cut++) {
			b = xmalloc(cut > 0 ? cut : 1);
			memcpy(b, good[i].bytes, cut);
			if (pickle_read("some.bin", b, cut, &t, &f) ==
			    PICKLE_OK)
				fail_msg("case %zu, cut at %zu: taken", i,
				    cut);
			free(b);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_of_tensors_are_read),
		cmocka_unit_test(everything_else_is_refused_by_name),
		cmocka_unit_test(a_cut_pickle_is_refused)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
