/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Precompiled for the targets of many sources that include DPDK: reading its headers, which bring all
 * intrinsics of the compiler, is most of the work of a build. Sources include what they use all the
 * same; -Db_pch=false builds without it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_vect.h>
