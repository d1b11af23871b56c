/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * nfe-test: runs the unit tests. Without arguments all suites; "nfe-test SUITE [CASE]" one of
 * them; "nfe-test --list" names them. Output is TAP; a suite that hangs is ended by SIGALRM.
 */
#include <stdlib.h>
#include <unistd.h>

#include "test.h"

#define SUITE_TIMEOUT_S 120

const char *test_skip_reason = "";
static struct test_suite *suites;

void
test_suite_register(struct test_suite *suite)
{
	struct test_suite **p = &suites;

	while (*p != NULL && strcmp((*p)->name, suite->name) < 0)
		p = &(*p)->next;
	suite->next = *p;
	*p = suite;
}

/* Runs one case and prints its TAP line; returns 1 if it failed. */
static int
run_case(const struct test_suite *suite, const struct test_case *tc, unsigned int number)
{
	int rc;

	alarm(SUITE_TIMEOUT_S);
	rc = tc->run();
	alarm(0);
	if (rc == TEST_SKIPPED)
		printf("ok %u - %s.%s # SKIP %s\n", number, suite->name, tc->name, test_skip_reason);
	else
		printf("%sok %u - %s.%s\n", rc == TEST_OK ? "" : "not ", number, suite->name, tc->name);
	fflush(stdout);
	return rc != TEST_OK && rc != TEST_SKIPPED;
}

int
main(int argc, char **argv)
{
	const char *want_suite = argc > 1 ? argv[1] : NULL;
	const char *want_case = argc > 2 ? argv[2] : NULL;
	unsigned int n = 0, failed = 0;

	if (want_suite != NULL && strcmp(want_suite, "--list") == 0) {
		for (struct test_suite *s = suites; s != NULL; s = s->next)
			for (unsigned int i = 0; i < s->nb_cases; i++)
				printf("%s %s\n", s->name, s->cases[i].name);
		return 0;
	}
	for (struct test_suite *s = suites; s != NULL; s = s->next) {
		if (want_suite != NULL && strcmp(s->name, want_suite) != 0)
			continue;
		for (unsigned int i = 0; i < s->nb_cases; i++) {
			if (want_case != NULL && strcmp(s->cases[i].name, want_case) != 0)
				continue;
			failed += run_case(s, &s->cases[i], ++n);
		}
	}
	printf("1..%u\n", n);
	if (n == 0)
		fprintf(stderr, "nfe-test: no suite or case of that name; see --list\n");
	return failed != 0 || n == 0;
}
