/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/* Page faults of the calling thread so far, by what they cost (rule 14; getrusage(2)). */
#ifndef NFED_FAULTS_H
#define NFED_FAULTS_H

#include <stdint.h>
#include <sys/resource.h>

#define NFED_FAULT_MAJOR 100 /* one that waits for a disk, in minor ones */

static inline uint64_t
nfed_faults_of_thread(void)
{
	struct rusage usage = { 0 };

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt * NFED_FAULT_MAJOR;
}

#endif /* NFED_FAULTS_H */
