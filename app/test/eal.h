/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL for unit tests: no hugepages, no root, one lcore. Initialised by the first test that needs
 * it, and left to the end of the process.
 */
#ifndef TEST_EAL_H
#define TEST_EAL_H

#include "test.h"

/* 0 or a negative errno; a second call answers as the first. */
int test_eal_init(void);

#define TEST_NEEDS_EAL() TEST_EQ(test_eal_init(), 0)

#endif /* TEST_EAL_H */
