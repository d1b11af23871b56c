/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 the NFE authors
 */

/*
 * The contract headers of lib/nfe: the arithmetic in them, and that doc/specification.md says the
 * same numbers. The names come from the headers' text, so a register, operation or reason that is
 * added there and forgotten in the specification fails here, and the other way round.
 *
 * The source tree is found by the environment's NFE_SOURCE_ROOT, by the macro of that name, or as
 * the directory above the program that holds doc/specification.md.
 */
#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <nfe_cell.h>
#include <nfe_ctrl.h>
#include <nfe_msg.h>
#include <nfe_queue.h>
#include <nfe_regs.h>

#include "test.h"

#define SPEC "doc/specification.md"
#define MAX_ROWS 64
#define NAME_LEN 48

/* ---- arithmetic ---- */

/* What crossing means, counted one by one: does the range of entries old..new-1 hold event? */
static bool
crossed_slowly(uint32_t event, uint32_t new_idx, uint32_t old_idx)
{
	for (uint32_t i = old_idx; i != new_idx; i++)
		if (i == event)
			return true;
	return false;
}

/* nfe_cell.h writes words, nfe_msg.h says which fields they are. */
static int
messages_written_as_words_have_the_fields_of_the_contract(void)
{
	struct nfe_hints hints = { .gso_size = 1448, .csum_start = 34, .csum_off = 16,
				   .gso_type = NFE_GSO_TCPV4, .nsegs = 3 };
	struct nfe_fill fill;
	struct nfe_seg_tx seg;
	union nfe_msg m;
	uint8_t hdr[NFE_HDR_COPY + 1];

	for (unsigned int i = 0; i < sizeof(hdr); i++)
		hdr[i] = (uint8_t)(0xa0 + i);
	memset(&m, 0xee, sizeof(m));
	nfe_put_dma(&m, nfe_put_head(NFE_MSG_DMA_TX, 0x5a, 0xfedc, 0x89abcdef),
		    UINT64_C(0x0123456789abcdef), hints, hdr + 1);
	TEST_EQ(m.tx.type, NFE_MSG_DMA_TX);
	TEST_EQ(m.tx.flags, 0x5a);
	TEST_EQ(m.tx.len, 0xfedc);
	TEST_EQ(m.tx.key, 0x89abcdef);
	TEST_EQ(m.tx.offset, UINT64_C(0x0123456789abcdef));
	TEST_TRUE(memcmp(&m.tx.hints, &hints, sizeof(hints)) == 0);
	TEST_TRUE(memcmp(m.tx.hdr, hdr + 1, NFE_HDR_COPY) == 0);
	nfe_put_dma(&m, nfe_put_head(NFE_MSG_DMA_RX, 0, 1500, 0xc00c1e),
		    nfe_put_pair(0x11223344, 0xfffffff0), hints, hdr);
	TEST_EQ(m.rx.type, NFE_MSG_DMA_RX);
	TEST_EQ(m.rx.flags, 0);
	TEST_EQ(m.rx.len, 1500);
	TEST_EQ(m.rx.cookie, 0xc00c1e);
	TEST_EQ(m.rx.hash, 0x11223344);
	TEST_EQ(m.rx.fill_end, 0xfffffff0);
	TEST_TRUE(memcmp(m.rx.hdr, hdr, NFE_HDR_COPY) == 0);
	nfe_put_entry(&fill, 4096, nfe_put_pair(7, 1023));
	TEST_TRUE(fill.offset == 4096 && fill.key == 7 && fill.cookie == 1023);
	nfe_put_entry(&seg, nfe_put_pair(7, 9000), 4096);
	TEST_TRUE(seg.key == 7 && seg.len == 9000 && seg.offset == 4096);
	return TEST_OK;
}

static int
event_is_crossed_exactly_when_its_entry_is_published(void)
{
	static const uint32_t start[] = { 0, 1, 1000, 0x7ffffffe, 0x80000000, 0xffffff00,
					  0xfffffffe, 0xffffffff };

	for (unsigned int s = 0; s < sizeof(start) / sizeof(start[0]); s++)
		for (uint32_t n = 0; n <= 20; n++)
			for (int32_t d = -25; d <= 25; d++) {
				uint32_t old = start[s], new_idx = old + n;
				uint32_t event = old + (uint32_t)d;

				TEST_ASSERT_MSG(nfe_event_crossed(event, new_idx, old) ==
						crossed_slowly(event, new_idx, old),
						"event %#x, %#x -> %#x", event, old, new_idx);
			}
	return TEST_OK;
}

static int
publishing_nothing_wakes_nobody(void)
{
	TEST_TRUE(!nfe_event_crossed(5, 5, 5));
	TEST_TRUE(!nfe_event_crossed(4, 5, 5));
	TEST_TRUE(!nfe_event_crossed(0xffffffff, 0, 0));
	return TEST_OK;
}

/* A sleeper that armed at its cons is woken by the first entry, and not again by later ones. */
static int
sleeper_is_woken_once(void)
{
	uint32_t cons = 0xfffffff0, woken = 0;

	for (uint32_t i = 0; i < 64; i++)
		woken += nfe_event_crossed(cons, cons + i + 1, cons + i);
	TEST_EQ(woken, 1);
	return TEST_OK;
}

static int
inline_cells_hold_the_frame_and_not_one_more(void)
{
	TEST_EQ(nfe_inline_cells(NFE_MIN_FRAME), 1);
	TEST_EQ(nfe_inline_cells(60), 1);
	TEST_EQ(nfe_inline_cells(61), 2);
	TEST_EQ(nfe_inline_cells(124), 2);
	TEST_EQ(nfe_inline_cells(125), 3);
	for (uint32_t len = NFE_MIN_FRAME; len <= UINT16_MAX; len++) {
		uint32_t room = nfe_inline_cells(len) * NFE_MSG_SIZE - 4;

		TEST_ASSERT_MSG(len <= room && (room < NFE_MSG_SIZE || len > room - NFE_MSG_SIZE),
				"%u bytes in %u", len, room);
	}
	return TEST_OK;
}

static int
dma_cells_hold_the_segments_and_not_one_more(void)
{
	static const uint8_t expected[] = { 0, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5 };

	for (uint32_t nsegs = 1; nsegs <= NFE_MAX_SEGS; nsegs++)
		TEST_EQ(nfe_dma_cells(nsegs), expected[nsegs]);
	return TEST_OK;
}

static int
key_is_made_of_index_and_tag(void)
{
	TEST_EQ(NFE_KEY(5u, 7u), 0x7005);
	TEST_EQ(NFE_KEY_INDEX(NFE_KEY(4095u, 0xfffffu)), 4095);
	TEST_EQ(NFE_KEY_TAG(NFE_KEY(4095u, 0xfffffu)), 0xfffff);
	TEST_EQ(NFE_KEY_TAG(NFE_KEY(4095u, 0u)), 0);
	TEST_EQ(NFE_KEY_INDEX(NFE_KEY(0u, 1u)), 0);
	TEST_TRUE(NFE_KEY(0u, 0u) == 0);
	return TEST_OK;
}

static int
cell_copy_copies_the_cell_and_not_one_byte_more(void)
{
	union nfe_msg cells[3], copy[3];

	for (unsigned int i = 0; i < sizeof(cells); i++)
		((uint8_t *)cells)[i] = (uint8_t)(i * 7 + 1);
	memset(copy, 0xee, sizeof(copy));
	nfe_cell_copy(&copy[1], &cells[1], NFE_MSG_SIZE);
	TEST_MEM_EQ(&copy[1], &cells[1], NFE_MSG_SIZE);
	for (unsigned int i = 0; i < NFE_MSG_SIZE; i++)
		TEST_TRUE(copy[0].bytes[i] == 0xee && copy[2].bytes[i] == 0xee);
	nfe_cell_copy(&copy[0], &cells[2], sizeof(struct nfe_fill));
	TEST_MEM_EQ(&copy[0], &cells[2], sizeof(struct nfe_fill));
	TEST_EQ(copy[0].bytes[sizeof(struct nfe_fill)], 0xee);
	return TEST_OK;
}

/* Whatever surrounds the frame: head, frame, zeros up to the end of its last cell (rule 20), and not a
 * byte behind it. */
static int
short_frames_are_put_whole_with_nothing_stale(void)
{
	uint8_t around[NFE_CELL_HEAD + NFE_INLINE_SHORT], *frame = around + NFE_CELL_HEAD;
	static uint8_t cells[NFE_INLINE_SHORT + 2 * NFE_MSG_SIZE] __attribute__((aligned(64)));

	for (unsigned int i = 0; i < sizeof(around); i++)
		around[i] = (uint8_t)(i * 7 + 1) | 1;
	for (uint32_t len = NFE_MIN_FRAME; len <= NFE_INLINE_SHORT; len++) {
		const struct nfe_msg_inline *m = (const struct nfe_msg_inline *)cells;
		uint32_t all = nfe_inline_cells(len) * NFE_MSG_SIZE;

		memset(cells, 0xa5, sizeof(cells));
		nfe_put_inline(cells, frame, len);
		TEST_EQ(m->type, NFE_MSG_INLINE);
		TEST_EQ(m->flags, 0);
		TEST_EQ(m->len, len);
		TEST_MEM_EQ(m->frame, frame, len);
		for (uint32_t i = NFE_CELL_HEAD + len; i < sizeof(cells); i++)
			TEST_EQ(cells[i], i < all ? 0 : 0xa5);
	}
	return TEST_OK;
}

static int
index_read_gives_what_was_published(void)
{
	uint32_t shared = 0;

	nfe_idx_publish(&shared, 0xffffffff);
	TEST_EQ(nfe_idx_read(&shared), 0xffffffff);
	return TEST_OK;
}

static int
status_word_comes_apart_again(void)
{
	uint32_t v = NFE_STATE_FAILED | NFE_STATUS_LINK | (uint32_t)NFE_REASON_OPERATOR << 16;

	TEST_EQ(NFE_STATUS_STATE(v), NFE_STATE_FAILED);
	TEST_EQ(NFE_STATUS_REASON(v), NFE_REASON_OPERATOR);
	TEST_TRUE(memcmp("NFE1", &(uint32_t){ NFE_MAGIC }, 4) == 0);
	return TEST_OK;
}

/* ---- counters ---- */

#define STAT_NAME(name, help) #name,
static const char *const stat_names[] = { NFE_STATS(STAT_NAME) };
#define STAT_HELP(name, help) help,
static const char *const stat_helps[] = { NFE_STATS(STAT_HELP) };

static int
counters_have_names_and_texts_of_their_own(void)
{
	TEST_EQ(sizeof(stat_names) / sizeof(stat_names[0]), NFE_STAT_MAX);
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++) {
		TEST_TRUE(stat_names[i][0] != '\0' && stat_helps[i][0] != '\0');
		for (unsigned int k = 0; k < i; k++) {
			TEST_ASSERT_MSG(strcmp(stat_names[i], stat_names[k]) != 0, "%s",
					stat_names[i]);
			TEST_ASSERT_MSG(strcmp(stat_helps[i], stat_helps[k]) != 0, "%s",
					stat_helps[i]);
		}
	}
	return TEST_OK;
}

/* The identities of 9.2 sum from the first to the last drop: nothing else may lie between. */
static int
drop_counters_lie_side_by_side(void)
{
	for (unsigned int i = 0; i < NFE_STAT_MAX; i++) {
		bool from = i >= NFE_STAT_FROM_DROP_FIRST && i <= NFE_STAT_FROM_DROP_LAST;
		bool to = i >= NFE_STAT_TO_DROP_FIRST && i <= NFE_STAT_TO_DROP_LAST;

		TEST_ASSERT_MSG((strncmp(stat_names[i], "from_drop_", 10) == 0) == from, "%s",
				stat_names[i]);
		TEST_ASSERT_MSG((strncmp(stat_names[i], "to_drop_", 8) == 0) == to, "%s",
				stat_names[i]);
	}
	return TEST_OK;
}

/* ---- headers against the specification ---- */

struct row { /* a number and its name: a row of a table, or a definition in a header */
	long long number;
	char name[NAME_LEN];
};
struct rows {
	struct row row[MAX_ROWS];
	unsigned int n;
};

/* Directory above the program that holds the specification. */
static bool
root_above_program(char *root, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", root, size - 1);

	if (len < 0)
		return false;
	root[len] = '\0';
	for (char *slash = strrchr(root, '/'); slash != NULL; slash = strrchr(root, '/')) {
		char path[PATH_MAX];

		*slash = '\0';
		snprintf(path, sizeof(path), "%s/" SPEC, root);
		if (access(path, R_OK) == 0)
			return true;
	}
	return false;
}

static const char *
source_root(void)
{
	static char root[PATH_MAX / 2];
	const char *env = getenv("NFE_SOURCE_ROOT");

	if (env != NULL)
		return env;
#ifdef NFE_SOURCE_ROOT
	return NFE_SOURCE_ROOT;
#endif
	return root_above_program(root, sizeof(root)) ? root : ".";
}

static FILE *
open_source(const char *name)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", source_root(), name);
	f = fopen(path, "r");
	if (f == NULL)
		printf("# can't open %s: set NFE_SOURCE_ROOT\n", path);
	return f;
}

static void
add_row(struct rows *rows, long long number, const char *name, size_t len)
{
	struct row *row;

	if (rows->n == MAX_ROWS || len >= NAME_LEN)
		return; /* then the counts differ and the comparison fails */
	row = &rows->row[rows->n++];
	row->number = number;
	memcpy(row->name, name, len);
	row->name[len] = '\0';
}

/* Does this line begin another section than the wanted one? "**4.3 DMA_TX.**", "## 5 Queues" */
static void
track_section(const char *line, const char *section, bool *inside)
{
	const char *p = strncmp(line, "**", 2) == 0 ? line + 2 : strncmp(line, "- **", 4) == 0 ?
			line + 4 : strncmp(line, "## ", 3) == 0 ? line + 3 : NULL;
	size_t len = strlen(section);

	if (p != NULL && isdigit((unsigned char)*p))
		*inside = strncmp(p, section, len) == 0 && !isdigit((unsigned char)p[len]);
	else if (p == line + 3)
		*inside = false; /* an appendix */
}

/* All rows "| number | `name` | ..." in a section whose name begins with prefix. */
static int
read_spec(const char *section, const char *prefix, struct rows *rows)
{
	FILE *f = open_source(SPEC);
	char line[1024];
	bool inside = false;

	if (f == NULL)
		return TEST_FAILED;
	while (fgets(line, sizeof(line), f) != NULL) {
		char *end, *name, *close;
		long long number;

		track_section(line, section, &inside);
		if (!inside || strncmp(line, "| ", 2) != 0)
			continue;
		number = strtoll(line + 2, &end, 0);
		if (end == line + 2 || strncmp(end, " | `", 4) != 0)
			continue;
		name = end + 4;
		close = strchr(name, '`');
		if (close != NULL && strncmp(name, prefix, strlen(prefix)) == 0)
			add_row(rows, number, name, (size_t)(close - name));
	}
	fclose(f);
	return TEST_OK;
}

/*
 * "#define NAME 0x10u" and "NAME = 3," with that prefix; "(UINT64_C(1) << 2)" gives the bit.
 * Macros with arguments or other expressions, NAME_MAX and NAME_END are no numbers of the
 * contract.
 */
static int
read_header(const char *header, const char *prefix, struct rows *rows)
{
	FILE *f = open_source(header);
	char line[1024];

	if (f == NULL)
		return TEST_FAILED;
	while (fgets(line, sizeof(line), f) != NULL) {
		bool define = strncmp(line, "#define ", 8) == 0;
		char *name = line + (define ? 8 : strspn(line, "\t")), *value, *end;
		size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
		long long number;

		if (strncmp(name, prefix, strlen(prefix)) != 0 || len == 0)
			continue;
		value = name + len;
		if (strncmp(value, define ? " " : " = ", define ? 1 : 3) != 0)
			continue;
		value += define ? 1 : 3;
		if (strncmp(value, "(UINT64_C(1) << ", 16) == 0)
			value += 16;
		number = strtoll(value, &end, 0);
		if (end != value && strncmp(name + len - 4, "_END", 4) != 0)
			add_row(rows, number, name, len);
	}
	fclose(f);
	return TEST_OK;
}

static const struct row *
find_row(const struct rows *rows, const char *name)
{
	for (unsigned int i = 0; i < rows->n; i++)
		if (strcmp(rows->row[i].name, name) == 0)
			return &rows->row[i];
	return NULL;
}

static int
same_rows(const char *section, const struct rows *code, const struct rows *doc)
{
	TEST_ASSERT_MSG(code->n > 0, "section %s: nothing found in the headers", section);
	for (unsigned int i = 0; i < code->n; i++) {
		const struct row *c = &code->row[i], *d = find_row(doc, c->name);

		TEST_ASSERT_MSG(d != NULL, "%s is not in section %s", c->name, section);
		TEST_ASSERT_MSG(d->number == c->number, "%s is %lld, section %s says %lld", c->name,
				c->number, section, d->number);
	}
	for (unsigned int i = 0; i < doc->n; i++)
		TEST_ASSERT_MSG(find_row(code, doc->row[i].name) != NULL,
				"section %s has %s, the headers have not", section,
				doc->row[i].name);
	TEST_EQ(doc->n, code->n);
	return TEST_OK;
}

/* All that the header defines with this prefix, against the tables of that section. */
static int
compare(const char *header, const char *section, const char *prefix)
{
	struct rows code = { 0 }, doc = { 0 };

	if (read_header(header, prefix, &code) != TEST_OK ||
	    read_spec(section, prefix, &doc) != TEST_OK)
		return TEST_FAILED;
	return same_rows(section, &code, &doc);
}

#define REGS "lib/nfe/nfe_regs.h"
#define MSG "lib/nfe/nfe_msg.h"
#define CTRL "lib/nfe/nfe_ctrl.h"

static int
registers_stand_in_the_specification(void)
{
	return compare(REGS, "3.1", "NFE_REG_");
}

static int
doorbell_words_stand_in_the_specification(void)
{
	struct rows code = { 0 }, doc = { 0 };

	TEST_EQ(read_header(REGS, "NFE_DB_", &code), TEST_OK);
	TEST_EQ(read_spec("3.3", "NFE_DB_", &doc), TEST_OK);
	for (unsigned int i = 0; i < code.n; i++) /* layout of our device, not of the page */
		if (strcmp(code.row[i].name, "NFE_DB_STRIDE_LOG2") == 0)
			code.row[i] = code.row[--code.n];
	return same_rows("3.3", &code, &doc);
}

static int
states_and_commands_stand_in_the_specification(void)
{
	if (compare(REGS, "2.2", "NFE_STATE_") != TEST_OK ||
	    compare(REGS, "2.2", "NFE_CMD_") != TEST_OK ||
	    compare(REGS, "3.5", "NFE_CHAN_") != TEST_OK)
		return TEST_FAILED;
	if (compare(REGS, "3.4", "NFE_TRIGGER_") != TEST_OK)
		return TEST_FAILED;
	return compare(REGS, "2.3", "NFE_F_");
}

static int
reasons_stand_in_the_specification(void)
{
	struct rows code = { 0 };

	TEST_EQ(read_header(REGS, "NFE_REASON_", &code), TEST_OK);
	TEST_EQ(code.n, NFE_REASON_MAX);
	return compare(REGS, "9.1", "NFE_REASON_");
}

static int
message_types_stand_in_the_specification(void)
{
	struct rows code = { 0 }, doc = { 0 };
	unsigned int kept = 0;

	TEST_EQ(read_header(MSG, "NFE_MSG_", &code), TEST_OK);
	TEST_EQ(read_spec("4.1", "NFE_MSG_", &doc), TEST_OK);
	for (unsigned int i = 0; i < code.n; i++) /* flags and the size of a cell are no types */
		if (strncmp(code.row[i].name, "NFE_MSG_F_", 10) != 0 &&
		    strcmp(code.row[i].name, "NFE_MSG_SIZE") != 0)
			code.row[kept++] = code.row[i];
	code.n = kept;
	return same_rows("4.1", &code, &doc);
}

static int
operations_roles_and_events_stand_in_the_specification(void)
{
	struct rows code = { 0 };

	TEST_EQ(read_header(CTRL, "NFE_OP_", &code), TEST_OK);
	TEST_EQ(code.n, NFE_OP_MAX - 1);
	if (compare(CTRL, "7.2", "NFE_OP_") != TEST_OK ||
	    compare(CTRL, "7.5", "NFE_ROLE_") != TEST_OK)
		return TEST_FAILED;
	if (compare(CTRL, "7.11", "NFE_RSS_IPV") != TEST_OK)
		return TEST_FAILED;
	return compare(CTRL, "7.10", "NFE_EVENT_");
}

static int
counters_stand_in_the_specification(void)
{
	struct rows code = { 0 }, doc = { 0 };

	for (unsigned int i = 0; i < NFE_STAT_MAX; i++)
		add_row(&code, i, stat_names[i], strlen(stat_names[i]));
	TEST_EQ(read_spec("9.2", "", &doc), TEST_OK);
	return same_rows("9.2", &code, &doc);
}

#define FIELD(section, type, field) { section, offsetof(type, field), #field }
#define ARG(section, type, field) { section, 8 + offsetof(type, field), #field }
static const struct {
	const char *section;
	size_t offset;
	const char *name;
} fields[] = {
	FIELD("3.5", struct nfe_status, sq_cons), FIELD("3.5", struct nfe_status, rq_prod),
	FIELD("3.5", struct nfe_status, fq_cons), FIELD("3.5", struct nfe_status, sq_event),
	FIELD("3.5", struct nfe_status, fq_event), FIELD("3.5", struct nfe_status, generation),
	FIELD("3.5", struct nfe_status, state), FIELD("3.5", struct nfe_status, reason),
	FIELD("3.5", struct nfe_status, cq_prod),
	FIELD("4.2", struct nfe_msg_inline, len), FIELD("4.2", struct nfe_msg_inline, frame),
	FIELD("4.3", struct nfe_msg_dma_tx, len), FIELD("4.3", struct nfe_msg_dma_tx, key),
	FIELD("4.3", struct nfe_msg_dma_tx, offset), FIELD("4.3", struct nfe_msg_dma_tx, hints),
	FIELD("4.3", struct nfe_msg_dma_tx, hdr),
	FIELD("4.4", struct nfe_msg_dma_rx, len), FIELD("4.4", struct nfe_msg_dma_rx, cookie),
	FIELD("4.4", struct nfe_msg_dma_rx, hash), FIELD("4.4", struct nfe_msg_dma_rx, fill_end),
	FIELD("4.4", struct nfe_msg_dma_rx, hints), FIELD("4.4", struct nfe_msg_dma_rx, hdr),
	FIELD("4.6", struct nfe_msg_ret, reason), FIELD("4.6", struct nfe_msg_ret, n),
	FIELD("4.6", struct nfe_msg_ret, fill_end), FIELD("4.6", struct nfe_msg_ret, cookie),
	FIELD("4.10", struct nfe_fill, offset), FIELD("4.10", struct nfe_fill, key),
	FIELD("4.10", struct nfe_fill, cookie),
	ARG("7.3", struct nfe_req_register, key), ARG("7.3", struct nfe_req_register, access),
	ARG("7.3", struct nfe_req_register, iova), ARG("7.3", struct nfe_req_register, len),
	ARG("7.4", struct nfe_req_channel, channel), ARG("7.4", struct nfe_req_channel, vector),
	ARG("7.4", struct nfe_req_channel, status_key),
	ARG("7.4", struct nfe_req_channel, status_offset),
	ARG("7.5", struct nfe_req_queue, channel), ARG("7.5", struct nfe_req_queue, role),
	ARG("7.5", struct nfe_req_queue, flags), ARG("7.5", struct nfe_req_queue, size_log2),
	ARG("7.5", struct nfe_req_queue, capacity), ARG("7.5", struct nfe_req_queue, buf_size),
	ARG("7.5", struct nfe_req_queue, key), ARG("7.5", struct nfe_req_queue, prod),
	ARG("7.5", struct nfe_req_queue, cons), ARG("7.5", struct nfe_req_queue, entries),
	ARG("7.5", struct nfe_req_queue, host_idx), ARG("7.5", struct nfe_req_queue, dev_idx),
	ARG("7.9", struct nfe_rsp_stats, first), ARG("7.9", struct nfe_rsp_stats, n),
	ARG("7.9", struct nfe_rsp_stats, total), ARG("7.9", struct nfe_rsp_stats, value),
	ARG("7.11", struct nfe_req_rss_hash, types), ARG("7.11", struct nfe_req_rss_hash, flags),
	ARG("7.11", struct nfe_req_rss_hash, key),
	ARG("7.11", struct nfe_req_rss_reta, first), ARG("7.11", struct nfe_req_rss_reta, n),
	ARG("7.11", struct nfe_req_rss_reta, channel),
	ARG("7.12", struct nfe_req_vlans, first), ARG("7.12", struct nfe_req_vlans, map),
};

static int
message_fields_stand_in_the_specification(void)
{
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct rows doc = { 0 };
		const struct row *row;

		TEST_EQ(read_spec(fields[i].section, fields[i].name, &doc), TEST_OK);
		row = find_row(&doc, fields[i].name);
		TEST_ASSERT_MSG(row != NULL, "section %s has no %s", fields[i].section,
				fields[i].name);
		TEST_ASSERT_MSG(row->number == (long long)fields[i].offset,
				"%s is at %zu, section %s says %lld", fields[i].name,
				fields[i].offset, fields[i].section, row->number);
	}
	return TEST_OK;
}

static const struct test_case cases[] = {
	TEST_CASE(messages_written_as_words_have_the_fields_of_the_contract),
	TEST_CASE(event_is_crossed_exactly_when_its_entry_is_published),
	TEST_CASE(publishing_nothing_wakes_nobody),
	TEST_CASE(sleeper_is_woken_once),
	TEST_CASE(inline_cells_hold_the_frame_and_not_one_more),
	TEST_CASE(dma_cells_hold_the_segments_and_not_one_more),
	TEST_CASE(key_is_made_of_index_and_tag),
	TEST_CASE(cell_copy_copies_the_cell_and_not_one_byte_more),
	TEST_CASE(short_frames_are_put_whole_with_nothing_stale),
	TEST_CASE(index_read_gives_what_was_published),
	TEST_CASE(status_word_comes_apart_again),
	TEST_CASE(counters_have_names_and_texts_of_their_own),
	TEST_CASE(drop_counters_lie_side_by_side),
	TEST_CASE(registers_stand_in_the_specification),
	TEST_CASE(doorbell_words_stand_in_the_specification),
	TEST_CASE(states_and_commands_stand_in_the_specification),
	TEST_CASE(reasons_stand_in_the_specification),
	TEST_CASE(message_types_stand_in_the_specification),
	TEST_CASE(operations_roles_and_events_stand_in_the_specification),
	TEST_CASE(counters_stand_in_the_specification),
	TEST_CASE(message_fields_stand_in_the_specification),
};
TEST_SUITE(nfe, cases);
