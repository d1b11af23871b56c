/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * EAL for unit tests, see eal.h. Main thread only: EAL pins it to core 0.
 */
#include <errno.h>

#include <stdio.h>
#include <stdlib.h>

#include <rte_common.h>
#include <rte_eal.h>
#include <rte_errno.h>

#include "eal.h"

int
test_eal_init(void)
{
	/* The data path is there once per instruction set: the suites run for each (meson.build). */
	static char simd[] = "--force-max-simd-bitwidth=0000";
	const char *bits = getenv("NFE_SIMD_BITS");
	static char *args[] = {
		(char *)"nfe-test", (char *)"--no-huge", (char *)"-m", (char *)"128",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"-l", (char *)"0", (char *)"--iova-mode", (char *)"va",
		(char *)"--log-level", (char *)"*:error", simd, NULL,
	};
	static int result = 1; /* not tried yet */

	snprintf(simd, sizeof(simd), "--force-max-simd-bitwidth=%s", bits != NULL ? bits : "512");
	if (result > 0)
		result = rte_eal_init(RTE_DIM(args) - 1, args) < 0 ? -rte_errno : 0;
	return result;
}
