/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile pickles: the complete set of supported names and instructions, and
 * bombs.
 */
#include "pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"
#include "torch_files.h"
#include "xmalloc.h"

#define P(s)		s, sizeof s - 1
#define KEY		PK_STRING("\x01", "a")
#define HALF		PK_STORAGE("HalfStorage", "0", "K\x06")
#define TENSOR(args)	PK_GLOBAL("torch._utils", "_rebuild_tensor_v2") args
#define BOMB_MB		64	/* the slowest of them needs 49 */

/* Modules and names that are used in pickles or in attacks. */
static const char *const modules[] = { "collections", "torch._utils", "torch",
	"torch.storage", "torch.serialization", "torch.nn.parameter",
	"torch.cuda", "torch.jit", "torch.hub", "torch._tensor", "builtins",
	"__builtin__", "os", "posix", "nt", "subprocess", "sys", "runpy",
	"pty", "platform", "shutil", "importlib", "operator", "functools",
	"types", "code", "pickle", "_pickle", "copyreg", "ctypes", "socket",
	"asyncio", "multiprocessing", "webbrowser", "pydoc", "timeit", "pdb",
	"bdb", "cProfile", "numpy", "numpy.core.multiarray", "pip", "", ".",
	"Torch", "torch ", " torch", "collections.OrderedDict", "__main__" };
static const char *const names[] = { "OrderedDict", "_rebuild_tensor_v2",
	"_rebuild_parameter", "HalfStorage", "BFloat16Storage", "FloatStorage",
	"DoubleStorage", "ByteStorage", "BoolStorage", "LongStorage",
	"IntStorage", "UntypedStorage", "TypedStorage", "CharStorage",
	"ShortStorage", "ComplexFloatStorage", "QUInt8Storage", "defaultdict",
	"_rebuild_tensor", "_rebuild_tensor_v3", "_rebuild_qtensor",
	"_rebuild_sparse_tensor", "_rebuild_device_tensor_from_numpy",
	"_rebuild_parameter_with_state", "_load_from_bytes", "load", "compile",
	"system", "popen", "execv", "execve", "spawnl", "fork", "kill", "eval",
	"exec", "open", "getattr", "setattr", "__import__", "input",
	"breakpoint", "Popen", "call", "run", "check_output", "getoutput",
	"run_module", "run_code", "_run_code", "spawn", "rmtree",
	"import_module", "attrgetter", "methodcaller", "partial", "reduce",
	"FunctionType", "CodeType", "interact", "loads", "_reconstructor",
	"CDLL", "create_connection", "get_event_loop", "Process", "modules",
	"timeit", "Pdb", "_reconstruct", "ndarray", "main", "__dict__",
	"__class__", "OrderedDict.__reduce__", "OrderedDict.fromkeys", "",
	"halfStorage", "HalfStorage ", "HalfStorage\r" };

/* The names of a checkpoint. */
static const struct {
	const char	*module, *name;
} known[] = {
	{ "collections", "OrderedDict" },
	{ "torch._utils", "_rebuild_tensor_v2" },
	{ "torch._utils", "_rebuild_parameter" },
	{ "torch", "HalfStorage" },
	{ "torch", "BFloat16Storage" },
	{ "torch", "FloatStorage" },
	{ "torch", "DoubleStorage" },
	{ "torch", "ByteStorage" },
	{ "torch", "BoolStorage" },
	{ "torch", "LongStorage" }
};

/* Is it one of them? */
static int
is_known(const char *module, const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(known); i++)
		if (strcmp(module, known[i].module) == 0 &&
		    strcmp(name, known[i].name) == 0)
			return (1);
	return (0);
}

/* Every module with every name, by both instructions that load a name. */
static void
ten_names_are_known_and_no_other(void **state)
{
	static const char	*const forms[] = { PK_START "c%s\n%s\n.",
				    PK_START "(i%s\n%s\n." };
	struct pickle_table	 t;
	struct fault		 f;
	enum pickle_error	 e;
	char			 b[256];
	size_t			 i, k, form, n, met = 0;

	(void)state;
	for (i = 0; i < nitems(modules) * nitems(names) * 2; i++) {
		form = i % 2;
		k = i / 2 % nitems(names);
		n = (size_t)snprintf(b, sizeof b, forms[form],
		    modules[i / 2 / nitems(names)], names[k]);
		e = pickle_read("some.bin", (const uint8_t *)b, n, &t, &f);
		if (!is_known(modules[i / 2 / nitems(names)], names[k])) {
			if (e != PICKLE_GLOBAL || strstr(f.message,
			    "forbidden global") == NULL)
				fail_msg("%s.%s: %d %s",
				    modules[i / 2 / nitems(names)], names[k],
				    e, f.message);
			continue;
		}
		assert_int_equal(e, form == 0 ? PICKLE_RESULT : PICKLE_OPCODE);
		met++;
	}
	assert_int_equal(met, 2 * nitems(known));
}

/* Every byte as an instruction. The names of INST and STACK_GLOBAL are read,
 * and then refused. */
static void
few_instructions_are_known(void **state)
{
	static const char	 allowed[] = "N\x88\x89KMJ\x8aX(t)\x85\x86\x87"
				    "}suqrhjcQRb.i\x93";
	struct pickle_table	 t;
	struct fault		 f;
	enum pickle_error	 e;
	uint8_t			 b[] = { 0x80, 2, 0, '.' };
	int			 code;

	(void)state;
	for (code = 0; code < 256; code++) {
		b[2] = (uint8_t)code;
		e = pickle_read("some.bin", b, sizeof b, &t, &f);
		if (code == '}') {
			assert_int_equal(e, PICKLE_OK);
			pickle_clear(&t);
			continue;
		}
		if ((e != PICKLE_OPCODE) != (code != 0 && strchr(allowed,
		    code) != NULL))
			fail_msg("0x%02x: %d %s", code, e, f.message);
	}
}

/* A start, and a piece that is repeated. */
struct bomb {
	const char		*start;
	size_t			 nstart;
	const char		*piece;
	size_t			 npiece, times;
	enum pickle_error	 error;
};

static const struct bomb bombs[] = {
	{ P(PK_START), P("("), PICKLE_MARKS_MAX + 1, PICKLE_MARK },
	{ P(PK_START), P("N"), PICKLE_STACK_MAX + 1, PICKLE_STACK },
	{ P(PK_START ")q\0"), P("h\0h\0\x86q\0"), 20000, PICKLE_STACK },
	/* a tuple in a tuple in a tuple */
	{ P(PK_START ")q\0"), P("\x85q\0"), 2000000, PICKLE_OBJECTS },
	/* each contains the one before twice */
	{ P(PK_START "})q\0Ns"), P("h\0h\0\x86q\0Ns"), 600000, PICKLE_OBJECTS },
	{ P(PK_START "}"), P("NNs"), 2000000, PICKLE_OBJECTS },
	{ P(PK_START "}Nq\0Ns"), P("h\0h\0s"), 3400000, PICKLE_TOO_BIG },
	{ P(PK_START "}Nq\0Ns"), P("h\0h\0s"), 2000000, PICKLE_OBJECTS },
	/* memo numbers that are far apart */
	{ P(PK_START ")"), P("r\xff\xff\x0f\0q\0"), 2000000, PICKLE_END },
	/* a long tuple, repeatedly */
	{ P(PK_START "}Nq\0Ns"), P("(h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0h\0"
	    "tNs"), 450000, PICKLE_OBJECTS },
	/* a tensor, repeatedly */
	{ P(PK_START "}(" HALF "K\0))NNtq\0" TENSOR("q\x01") "s"),
	    P("Nh\x01h\0Rs"), PICKLE_TENSORS_MAX + 1, PICKLE_OBJECTS },
	/* a number or a string with more bytes than the file has */
	{ P(PK_START), P("\x8b\xff\xff\xff\x7f"), 1, PICKLE_OPCODE },
	{ P(PK_START), P("X\xff\xff\xff\x7f"), 1, PICKLE_STRING },
	{ P(PK_START), P("T\xff\xff\xff\x7f"), 1, PICKLE_OPCODE },
	{ P(PK_START), P("\x8d\xff\xff\xff\xff\xff\xff\xff\x7f"), 1,
	    PICKLE_OPCODE }
};

/* Run one. Return 1 if it ends as expected. */
static int
explode(void *arg)
{
	const struct bomb	*m = arg;
	struct pickle_table	 t;
	struct fault		 f;
	enum pickle_error	 e;
	size_t			 n = m->nstart + m->npiece * m->times, k;
	uint8_t			*b = xmalloc(n), *at = b + m->nstart;

	memcpy(b, m->start, m->nstart);
	for (k = 0; k < m->times; k++, at += m->npiece)
		memcpy(at, m->piece, m->npiece);
	e = pickle_read("some.bin", b, n, &t, &f);
	free(b);
	if (e == m->error)
		return (1);
	fprintf(stderr, "expected %d, found %d: %s\n", m->error, e,
	    e == PICKLE_OK ? "taken" : f.message);
	return (0);
}

/* Each ends at a limit, with little memory. */
static void
a_bomb_is_bounded(void **state)
{
	struct bomb	 m;
	size_t		 i;

	(void)state;
	for (i = 0; i < nitems(bombs); i++) {
		m = bombs[i];
		memory_run(explode, &m, BOMB_MB);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_names_are_known_and_no_other),
		cmocka_unit_test(few_instructions_are_known),
		cmocka_unit_test(a_bomb_is_bounded)
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
