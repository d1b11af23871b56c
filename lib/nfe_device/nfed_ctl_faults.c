/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * Page faults of the control thread in a guest's memory (rule 14): in its control queues, and in
 * status blocks and queues while a request looks at them. They are mapped ahead, so a fault means
 * that the guest punched holes or that its memory was swapped out, and all other guests' requests
 * wait. Each run of the control channel is measured (two system calls, 0.2 us each) and paid for
 * out of an allowance; beyond it the function fails. Filling page tables for REGISTER is work that
 * the guest may ask for, with an allowance of its own (nfed_dma_map.c): it doesn't count here.
 * What data lcores suffer is vsw_faults.c's.
 */
#include "nfed_clock.h"
#include "nfed_faults.h"
#include "nfed_internal.h"

#define AT_ONCE 2048    /* our own first touches of memory included */
#define PER_S 500

static const struct nfed_allowance_limit limit = { AT_ONCE, 1000 * AT_ONCE / PER_S };

void
nfed_ctl_faults_begin(struct nfed_ctl_faults *f)
{
	f->caused = 0;
	f->seen = nfed_faults_of_thread();
}

void
nfed_ctl_faults_pause(struct nfed_ctl_faults *f)
{
	f->caused += nfed_faults_of_thread() - f->seen;
}

void
nfed_ctl_faults_resume(struct nfed_ctl_faults *f)
{
	f->seen = nfed_faults_of_thread();
}

bool
nfed_ctl_faults_charge(struct nfed_ctl_faults *f, uint64_t now, uint64_t faults)
{
	return nfed_allowance_charge(&f->allowance, &limit, now, (int64_t)faults);
}

/* The allowance outlives a RESET. */
void
nfed_ctl_faults_end(struct nfed_function *fn)
{
	struct nfed_ctl_faults *f = &fn->ctl_faults;

	nfed_ctl_faults_pause(f);
	if (f->caused == 0)
		return;
	fn->counters.memory_faults += f->caused;
	if (nfed_ctl_faults_charge(f, nfed_now_ms(), f->caused) && fn->state != NFE_STATE_FAILED)
		nfed_function_fail(fn, NFE_REASON_MEMORY_FAULTS, "control channel: page faults");
}
