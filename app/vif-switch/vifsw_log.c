/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The daemon's log: DPDK's, with a type of its own, so that --log-level=vif-switch:LEVEL works.
 * Whole lines on stderr, unbuffered. Any thread.
 */
#include <errno.h>
#include <stdio.h>

#include <rte_log.h>

#include "vifsw.h"

#define LINE_MAX_CHARS 512

static int logtype = RTE_LOGTYPE_USER1;

int
vifsw_log_init(void)
{
	int type;

	setvbuf(stderr, NULL, _IONBF, 0);
	if (rte_openlog_stream(stderr) != 0)
		return -ENOMEM;
	type = rte_log_register_type_and_pick_level("vif-switch", RTE_LOG_INFO);
	if (type < 0)
		return type;
	logtype = type;
	return 0;
}

/* One call of rte_log() per line: lines of several threads don't mix. */
static void
log_line(uint32_t level, const char *format, va_list args)
{
	char line[LINE_MAX_CHARS];

	vsnprintf(line, sizeof(line), format, args);
	rte_log(level, (uint32_t)logtype, "vif-switch: %s\n", line);
}

void
vifsw_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(RTE_LOG_INFO, format, args);
	va_end(args);
}

void
vifsw_log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(RTE_LOG_ERR, format, args);
	va_end(args);
}
