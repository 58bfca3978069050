/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database file: who may open it, files that are refused and left
 * untouched, and full or failing disks.
 */
#include "store_fixture.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "json.h"
#include "xmalloc.h"

#define NEW "{'op':'new','uid':1,'title':'t','time':1}"

/* Opening must fail with code, and the message must have both texts. */
static void
refused(const char *path, int code, const char *one, const char *two)
{
	struct store	*st = NULL;
	struct fault	 f = { 0 };
	int		 r;

	if ((r = store_open(path, &st, &f)) != code)
		fail_msg("expected %d, got %d: %s", code, r, f.message);
	if (strstr(f.message, one) == NULL || strstr(f.message, two) == NULL)
		fail_msg("\"%s\" should name %s and %s", f.message, one, two);
	assert_null(st);
}

/* Change a database that is closed. */
static void
change(struct fixture *fx, const char *sql)
{
	sqlite3	*db;

	assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_all_files_are_private_whatever_the_umask(void **state)
{
	static const char *const names[] = { "", "-wal", "-shm", ".lock" };
	struct fixture	*fx = *state;
	struct stat	 s;
	mode_t		 old = umask(0);
	char		 path[300];
	size_t		 i;

	fixture_close(fx);
	unlink(fx->path);
	snprintf(path, sizeof path, "%s.lock", fx->path);
	unlink(path);
	fixture_reopen(fx);
	fixture_do(fx, NULL, NEW);
	umask(old);
	for (i = 0; i < nitems(names); i++) {
		snprintf(path, sizeof path, "%s%s", fx->path, names[i]);
		assert_int_equal(stat(path, &s), 0);
		assert_int_equal(s.st_mode & 07777, 0600);
	}
	/* Too many permissions are taken away. */
	fixture_close(fx);
	chmod(fx->path, 0666);
	fixture_reopen(fx);
	stat(fx->path, &s);
	assert_int_equal(s.st_mode & 07777, 0600);
}

static void
test_a_folder_that_others_can_write_is_refused_by_name(void **state)
{
	static const mode_t modes[] = { 0777, 0770, 0702, 01777 };
	struct fixture	*fx = *state;
	size_t		 i;

	fixture_close(fx);
	for (i = 0; i < nitems(modes); i++) {
		chmod(fx->dir, modes[i]);
		refused(fx->path, CHAT_EDENIED, fx->dir, "written by others");
	}
	chmod(fx->dir, 0755);
	fixture_reopen(fx);
}

static void
test_a_folder_link_or_device_is_not_a_database(void **state)
{
	struct fixture	*fx = *state;
	char		 link_path[300], missing[300];

	snprintf(link_path, sizeof link_path, "%s/link.db", fx->dir);
	assert_int_equal(symlink(fx->path, link_path), 0);
	refused(link_path, CHAT_ESYSTEM, "link.db", "symbolic");
	snprintf(missing, sizeof missing, "%s/no/chatd.db", fx->dir);
	refused(missing, CHAT_ESYSTEM, "/no", "No such file");
	fixture_close(fx);
	unlink(fx->path);
	assert_int_equal(mkfifo(fx->path, 0600), 0);
	refused(fx->path, CHAT_EDENIED, fx->path, "regular file");
}

static void
test_a_second_store_is_refused_and_the_first_goes_on(void **state)
{
	struct fixture	*fx = *state;

	fixture_do(fx, NULL, NEW);
	refused(fx->path, CHAT_EBUSY, fx->path, "in use by another");
	fixture_do(fx, NULL, NEW);
	/* Other programs can still read. */
	assert_string_equal(fixture_sql(fx, "SELECT count(*) "
	    "FROM conversation"), "2");
}

static void
test_a_newer_or_foreign_database_is_refused_untouched(void **state)
{
	struct fixture	*fx = *state;
	char		*before, *after;
	size_t		 n, m;

	fixture_close(fx);
	change(fx, "PRAGMA user_version = 5");
	before = fixture_bytes(fx->path, &n);
	refused(fx->path, CHAT_EFORMAT, "schema version 5", "newer");
	after = fixture_bytes(fx->path, &m);
	assert_int_equal(n, m);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
	change(fx, "PRAGMA user_version = 4; PRAGMA application_id = 5");
	refused(fx->path, CHAT_EFORMAT, fx->path, "another program");
}

static void
test_a_damaged_database_is_refused_untouched(void **state)
{
	struct fixture	*fx = *state;
	char		*whole, *after;
	size_t		 n, m, page, i;

	for (i = 0; i < 40; i++)
		fixture_do(fx, NULL, "{'op':'new','uid':1,'title':'"
		    "some text that fills a page of the table %d','time':1}",
		    (int)i);
	fixture_close(fx);
	whole = fixture_bytes(fx->path, &n);
	assert_true(n > 8192);
	/* The first byte of a page is its kind: damage one page after
	 * another, but not the second one, which is SQLite's map for
	 * shrinking the file and has no kind. */
	for (page = 0; page < n / 4096; page++) {
		char	was = whole[page * 4096];

		if (page == 1)
			continue;
		whole[page * 4096] = 0x55;
		fixture_write(fx->path, whole, n);
		refused(fx->path, CHAT_EFORMAT, fx->path, ".recover");
		after = fixture_bytes(fx->path, &m);
		assert_int_equal(n, m);
		assert_memory_equal(whole, after, n);
		free(after);
		whole[page * 4096] = was;
	}
	fixture_write(fx->path, whole, n / 2);
	refused(fx->path, CHAT_EFORMAT, fx->path, "damaged");
	fixture_write(fx->path, whole, n);	/* valid again */
	fixture_reopen(fx);
	free(whole);
}

/* Deny the nth action that SQLite asks to authorize. */
static int
deny(void *arg, int action, const char *a, const char *b, const char *c,
    const char *d)
{
	int	*left = arg;

	(void)action, (void)a, (void)b, (void)c, (void)d;
	return (--*left == 0 ? SQLITE_DENY : SQLITE_OK);
}

static void
test_a_migration_cut_anywhere_leaves_the_old_schema(void **state)
{
	struct fixture	*fx = *state;
	struct fault	 f;
	sqlite3		*db;
	int		 n, left, rc = SQLITE_ERROR, version;
	int		 cuts[SCHEMA_VERSION + 1] = { 0 };
	sqlite3_stmt	*q;

	fixture_close(fx);
	for (n = 1; rc != SQLITE_OK; n += 7) {
		unlink(fx->path);
		assert_int_equal(sqlite3_open(fx->path, &db), SQLITE_OK);
		left = n;
		sqlite3_set_authorizer(db, deny, &left);
		rc = schema_migrate(db, 0);
		sqlite3_set_authorizer(db, NULL, NULL);
		assert_int_equal(schema_check(db, fx->path, &version, &f), 0);
		assert_true(version < SCHEMA_VERSION || rc == SQLITE_OK);
		/* The file has the tables of its version, and no others. */
		sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM "
		    "sqlite_schema WHERE name = 'model'), (SELECT count(*) "
		    "FROM sqlite_schema WHERE name IN ('account', 'size', "
		    "'v_size', 'v_account', 'exchange_raw', 'size_added', "
		    "'conversation_removed')), (SELECT count(*) FROM "
		    "sqlite_schema WHERE name IN ('search', 'draft', "
		    "'tombstone', 'filter_version', 'conversation_uuid', "
		    "'search_unrated_in', 'v_preference')), (SELECT count(*) "
		    "FROM pragma_table_info('verdict') WHERE name IN "
		    "('version', 'detail')), (SELECT count(*) FROM "
		    "sqlite_schema WHERE name = 'adapter'), (SELECT count(*) "
		    "FROM pragma_table_info('reply') WHERE name IN "
		    "('adapter', 'assigned'))", -1, &q, NULL);
		sqlite3_step(q);
		assert_int_equal(sqlite3_column_int(q, 0), version >= 1);
		assert_int_equal(sqlite3_column_int(q, 1), version >= 2 ? 7 :
		    0);
		assert_int_equal(sqlite3_column_int(q, 2), version >= 3 ? 7 :
		    0);
		assert_int_equal(sqlite3_column_int(q, 3), version >= 3 ? 2 :
		    0);
		assert_int_equal(sqlite3_column_int(q, 4), version >= 4);
		assert_int_equal(sqlite3_column_int(q, 5), version >= 4 ? 2 :
		    0);
		cuts[version]++;
		sqlite3_finalize(q);
		sqlite3_close(db);
	}
	assert_true(cuts[0] > 5 && cuts[1] > 5 && cuts[2] > 50 && cuts[3] > 5);
	assert_true(n > 50);		/* there were places to fail */
	fixture_reopen(fx);
}

static void
test_a_full_disk_refuses_what_does_not_fit_and_recovers(void **state)
{
	struct fixture	*fx = *state;
	char		*big;
	int		 i;

	big = xmalloc(100001);
	memset(big, 'x', 100000);
	big[100000] = '\0';
	assert_int_equal(sqlite3_exec(fx->st->db, "PRAGMA max_page_count = 40",
	    NULL, NULL, NULL), SQLITE_OK);
	for (i = 0; i < 3; i++) {
		fixture_refused(fx, "store_unavailable", NULL,
		    BEGIN("say", "'key':'big','prompt':'%s'"), big);
		fixture_do(fx, NULL, NEW);
		fixture_do(fx, NULL, "{'op':'list','uid':1,'limit':1}");
	}
	assert_string_equal(fixture_sql(fx, "SELECT count(*), (SELECT "
	    "count(*) FROM exchange) FROM conversation"), "3|0");
	assert_int_equal(sqlite3_exec(fx->st->db, "PRAGMA max_page_count = "
	    "4000", NULL, NULL, NULL), SQLITE_OK);
	fixture_do(fx, NULL, BEGIN("say", "'key':'big','prompt':'%s'"), big);
	free(big);
}

static void
test_a_write_error_is_not_acknowledged_and_a_new_connection_helps(void **state)
{
	struct fixture	*fx = *state;
	struct rlimit	 old, small;
	sqlite3		*before = fx->st->db;

	fixture_do(fx, NULL, NEW);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	fixture_refused(fx, "store_unavailable", NULL, NEW);
	assert_true(fx->st->failed);
	fixture_refused(fx, "store_unavailable", NULL, NEW);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	fixture_do(fx, NULL, NEW);
	assert_false(fx->st->failed);
	assert_true(fx->st->db != before || fx->st->wal_pages > 0);
	assert_string_equal(fixture_sql(fx, "SELECT count(*) "
	    "FROM conversation"), "2");
}

static void
test_a_locked_database_is_waited_for_and_then_reported(void **state)
{
	struct fixture	*fx = *state;
	sqlite3		*other;

	assert_int_equal(sqlite3_open(fx->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL,
	    NULL), SQLITE_OK);
	sqlite3_busy_timeout(fx->st->db, 20);	/* instead of 5 s */
	fixture_refused(fx, "store_unavailable", NULL, NEW);
	assert_non_null(strstr(fx->st->why, "locked"));
	fixture_do(fx, NULL, "{'op':'list','uid':1}");
	sqlite3_close(other);
	fixture_do(fx, NULL, NEW);
}

static void
test_a_reader_that_never_ends_can_not_fill_the_disk(void **state)
{
	struct fixture	*fx = *state;
	sqlite3		*reader;
	struct stat	 s;
	char		 wal[300];
	json_t		*a = NULL;
	int		 i;

	snprintf(wal, sizeof wal, "%s-wal", fx->path);
	fx->st->wal_limit = 200 * 1024;
	assert_int_equal(sqlite3_open(fx->path, &reader), SQLITE_OK);
	assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM "
	    "conversation", NULL, NULL, NULL), SQLITE_OK);
	for (i = 0; i < 100; i++) {
		json_decref(a);
		a = fixture_ask(fx, NEW);
		store_maintain(fx->st, 1);
		assert_int_equal(stat(wal, &s), 0);
		assert_in_range(s.st_size, 0, 300 * 1024);
	}
	assert_string_equal(msg_string(a, "code"), "store_unavailable");
	assert_non_null(strstr(msg_string(a, "message"), "reader"));
	json_decref(a);
	sqlite3_close(reader);
	fixture_do(fx, NULL, NEW);
}

/* Writing back what the reader allows must not hide how long the log is. */
static void
test_a_busy_store_counts_the_log_that_a_reader_keeps(void **state)
{
	struct fixture	*fx = *state;
	const int	 limit = (STORE_WAL_HIGH + 2000) * 4096;
	sqlite3		*reader;
	struct stat	 s;
	char		 wal[300], *ask, *prompt;
	json_t		*a = NULL;
	int		 i;

	snprintf(wal, sizeof wal, "%s-wal", fx->path);
	fx->st->wal_limit = limit;
	prompt = xmalloc(200001);
	memset(prompt, 'p', 200000);
	prompt[200000] = '\0';
	assert_int_equal(sqlite3_open(fx->path, &reader), SQLITE_OK);
	assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM "
	    "conversation", NULL, NULL, NULL), SQLITE_OK);
	for (i = 0; i < 300; i++) {
		json_decref(a);
		ask = xasprintf("{'op':'begin','key':'k%d','uid':1,"
		    "'kind':'complete','prompt':'%s','params':{},'seed':1,"
		    "'model':{},'time':1}", i, prompt);
		a = fixture_ask(fx, ask);
		free(ask);
		store_maintain(fx->st, 0);
		assert_int_equal(stat(wal, &s), 0);
		assert_in_range(s.st_size, 0, limit + 1024 * 1024);
	}
	assert_string_equal(msg_string(a, "code"), "store_unavailable");
	json_decref(a);
	free(prompt);
	sqlite3_close(reader);
	fixture_do(fx, NULL, NEW);
}

static void
test_the_limit_of_the_log_holds_after_maintenance(void **state)
{
	struct fixture	*fx = *state;
	sqlite3		*reader;
	json_t		*a = NULL;
	char		*big = xmalloc(30001);
	int		 i;

	memset(big, 'x', 30000);
	big[30000] = '\0';
	fx->st->wal_limit = 64 * 1024 * 1024;
	assert_int_equal(sqlite3_open(fx->path, &reader), SQLITE_OK);
	assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM "
	    "conversation", NULL, NULL, NULL), SQLITE_OK);
	/* More than STORE_WAL_HIGH pages: maintenance tries, and can't. */
	for (i = 0; i < 3000; i++) {
		json_decref(a);
		a = fixture_ask(fx, BEGIN("say", "'key':'%d','prompt':'%s'"),
		    i, big);
		if (msg_string(a, "code") != NULL)
			break;
		store_maintain(fx->st, i % 8 == 0);
	}
	assert_string_equal(msg_string(a, "code"), "store_unavailable");
	assert_true(fx->st->wal_pages * fx->st->page_size >=
	    fx->st->wal_limit);
	json_decref(a);
	sqlite3_close(reader);
	fixture_do(fx, NULL, NEW);
	assert_true(fx->st->wal_pages < 100);
	free(big);
}

static void
test_the_log_is_written_back_when_idle(void **state)
{
	struct fixture	*fx = *state;
	int		 i;

	for (i = 0; i < 500; i++)
		fixture_do(fx, NULL, NEW);
	assert_true(fx->st->wal_pages > STORE_WAL_CHECKPOINT);
	assert_int_equal(store_maintain(fx->st, 0), STORE_IDLE_MS);
	assert_true(fx->st->wal_pages > STORE_WAL_CHECKPOINT);
	assert_int_equal(store_maintain(fx->st, 1), -1);
	fixture_do(fx, NULL, NEW);
	assert_true(fx->st->wal_pages < 10);
}

static void
test_the_settings_that_durability_and_privacy_need_are_on(void **state)
{
	static const struct {
		const char	*pragma;
		int64_t		 value;
	} cases[] = {
		{ "PRAGMA synchronous", 2 }, { "PRAGMA foreign_keys", 1 },
		{ "PRAGMA secure_delete", 1 }, { "PRAGMA temp_store", 2 },
		{ "PRAGMA wal_autocheckpoint", 0 },
		{ "PRAGMA journal_size_limit", STORE_WAL_KEEP },
	};
	struct fixture	*fx = *state;
	int64_t		 v;
	size_t		 i;

	for (i = 0; i < nitems(cases); i++) {
		assert_int_equal(sql_int(fx->st, &v, cases[i].pragma, ""), 1);
		assert_int_equal(v, cases[i].value);
	}
	assert_string_equal(fixture_sql(fx, "PRAGMA journal_mode"), "wal");
}

int
main(void)
{
#define T(name) \
	cmocka_unit_test_setup_teardown(test_##name, fixture_setup, \
	    fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(all_files_are_private_whatever_the_umask),
		T(a_folder_that_others_can_write_is_refused_by_name),
		T(a_folder_link_or_device_is_not_a_database),
		T(a_second_store_is_refused_and_the_first_goes_on),
		T(a_newer_or_foreign_database_is_refused_untouched),
		T(a_damaged_database_is_refused_untouched),
		T(a_migration_cut_anywhere_leaves_the_old_schema),
		T(a_full_disk_refuses_what_does_not_fit_and_recovers),
		T(a_write_error_is_not_acknowledged_and_a_new_connection_helps),
		T(a_locked_database_is_waited_for_and_then_reported),
		T(a_reader_that_never_ends_can_not_fill_the_disk),
		T(a_busy_store_counts_the_log_that_a_reader_keeps),
		T(the_limit_of_the_log_holds_after_maintenance),
		T(the_log_is_written_back_when_idle),
		T(the_settings_that_durability_and_privacy_need_are_on),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
