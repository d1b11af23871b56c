/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * test-pmd: what an application sees of net_nfe, against a real vif-switch.
 *
 *	test-pmd --list
 *	test-pmd [EAL options] -d librte_net_nfe.so -- SOCKET_DIR CASE[,CASE...] [DEVICE_ARGS]
 *
 * The switch has the VIFs "a" and "b" there; "pci" instead are the functions 0000:01:00.0 and
 * 0000:02:00.0 of a VM. app/test-system/test_pmd.py starts both; a case that needs the switch away
 * asks for it by a line on stdout ("@down N", "@up N", "@small N", "@hang N", "@go N") and goes on
 * at the next line on stdin. Exit code: 0 passed, 77 skipped, with the reason on the last line, else
 * failed.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include "bench.h"

#define CASE_TIMEOUT_S 120

const char *test_skip_reason = "";
static struct test_suite *suites;

void
test_suite_register(struct test_suite *suite)
{
	suite->next = suites;
	suites = suite;
}

static const struct test_case *
find_case(const char *name)
{
	for (struct test_suite *s = suites; s != NULL; s = s->next)
		for (unsigned int i = 0; i < s->nb_cases; i++)
			if (strcmp(s->cases[i].name, name) == 0)
				return &s->cases[i];
	return NULL;
}

static int
list_cases(void)
{
	for (struct test_suite *s = suites; s != NULL; s = s->next)
		for (unsigned int i = 0; i < s->nb_cases; i++)
			printf("%s.%s\n", s->name, s->cases[i].name);
	return 0;
}

/* One after the other, up to one that does not pass. */
static int
run_cases(char *names)
{
	int ret = TEST_OK;

	for (char *name = strtok(names, ","); name != NULL && ret == TEST_OK;
	     name = strtok(NULL, ",")) {
		const struct test_case *tc = find_case(name);

		if (tc == NULL) {
			fprintf(stderr, "no case %s\n", name);
			return 2;
		}
		alarm(CASE_TIMEOUT_S);
		ret = tc->run();
		printf("# %s: %s\n", name, ret == TEST_OK ? "passed" : "not passed");
	}
	return ret;
}

int
main(int argc, char **argv)
{
	int n, ret;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list_cases();
	setlinebuf(stdout);
	n = rte_eal_init(argc, argv);
	if (n < 0)
		return 1;
	if (argc - n < 3 || argc - n > 4) {
		fprintf(stderr, "usage: test-pmd [EAL options] -- SOCKET_DIR CASE[,CASE...] "
			"[DEVICE_ARGS]; test-pmd --list\n");
		return 2;
	}
	ret = bench_init(argv[n + 1], argc - n == 4 ? argv[n + 3] : "");
	if (ret == TEST_OK)
		ret = run_cases(argv[n + 2]);
	if (ret == TEST_OK)
		rte_eal_cleanup();
	if (ret == TEST_SKIPPED)
		printf("skipped: %s\n", test_skip_reason);
	return ret == TEST_FAILED ? 1 : ret;
}
