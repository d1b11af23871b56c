/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Unit test harness: suites register themselves, nfe-test runs them and speaks TAP 13, which meson
 * and usertools/tap-summary read. A failed assertion ends its case, not the program.
 *
 *	static int
 *	runt_is_refused(void)
 *	{
 *		TEST_EQ(check(...), -EINVAL);
 *		return TEST_OK;
 *	}
 *	static const struct test_case cases[] = { TEST_CASE(runt_is_refused), };
 *	TEST_SUITE(queue, cases);
 */
#ifndef TEST_H
#define TEST_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEST_OK 0
#define TEST_FAILED (-1)
#define TEST_SKIPPED 77 /* set test_skip_reason first */

struct test_case {
	const char *name;
	int (*run)(void);
};

struct test_suite {
	const char *name;
	const struct test_case *cases;
	unsigned int nb_cases;
	struct test_suite *next;
};

extern const char *test_skip_reason;
void test_suite_register(struct test_suite *suite);

#define TEST_CASE(fn) { #fn, fn }
#define TEST_SUITE(id, array)                                                            \
	static struct test_suite suite_##id = { #id, array,                              \
						sizeof(array) / sizeof((array)[0]), NULL }; \
	__attribute__((constructor)) static void suite_register_##id(void)              \
	{                                                                                \
		test_suite_register(&suite_##id);                                        \
	}                                                                                \
	struct test_suite /* the caller's semicolon ends this */

#define TEST_ASSERT_MSG(cond, ...)                                              \
	do {                                                                    \
		if (!(cond)) {                                                  \
			printf("# %s:%d: %s: ", __FILE__, __LINE__, #cond);     \
			printf(__VA_ARGS__);                                    \
			printf("\n");                                           \
			return TEST_FAILED;                                     \
		}                                                               \
	} while (0)
#define TEST_TRUE(cond) TEST_ASSERT_MSG(cond, "is false")
#define TEST_EQ(a, b)                                                              \
	do {                                                                       \
		long long test_a = (long long)(a), test_b = (long long)(b);        \
		TEST_ASSERT_MSG(test_a == test_b, "%s is %lld, expected %lld", #a, \
				test_a, test_b);                                   \
	} while (0)
#define TEST_STR_EQ(a, b) \
	TEST_ASSERT_MSG(strcmp((a), (b)) == 0, "\"%s\", expected \"%s\"", (a), (b))
#define TEST_MEM_EQ(a, b, len) TEST_ASSERT_MSG(memcmp((a), (b), (len)) == 0, "bytes differ")

#endif /* TEST_H */
