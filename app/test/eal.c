/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL for unit tests, see eal.h. Main thread only: EAL pins it to core 0.
 */
#include <errno.h>

#include <rte_eal.h>
#include <rte_errno.h>

#include "eal.h"

int
test_eal_init(void)
{
	static char *args[] = {
		(char *)"nfe-test", (char *)"--no-huge", (char *)"-m", (char *)"128",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"-l", (char *)"0", (char *)"--iova-mode", (char *)"va",
		(char *)"--log-level", (char *)"*:error", NULL,
	};
	static int result = 1; /* not tried yet */

	if (result > 0)
		result = rte_eal_init(sizeof(args) / sizeof(args[0]) - 1, args) < 0 ? -rte_errno : 0;
	return result;
}
