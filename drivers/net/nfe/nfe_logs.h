/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Log of the PMD: pmd.net.nfe.default. Never used in a burst; there a counter takes its place. */
#ifndef NFE_LOGS_H
#define NFE_LOGS_H

#include <rte_log.h>

extern int nfe_logtype;

#define NFE_LOG(level, fmt, ...) \
	rte_log(RTE_LOG_##level, nfe_logtype, "net_nfe: " fmt "\n", ##__VA_ARGS__)

#endif /* NFE_LOGS_H */
