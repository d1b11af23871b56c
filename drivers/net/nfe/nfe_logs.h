/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Log of the PMD: pmd.net.nfe. Never used in a burst; there a counter takes its place. */
#ifndef NFE_LOGS_H
#define NFE_LOGS_H

#include <rte_log.h>

#include "nfe_compat.h"

extern int nfe_logtype;
#define RTE_LOGTYPE_NFE nfe_logtype

/* fmt is a literal, without a newline. */
#define NFE_LOG(level, ...) RTE_LOG_LINE(level, NFE, __VA_ARGS__)

#endif /* NFE_LOGS_H */
