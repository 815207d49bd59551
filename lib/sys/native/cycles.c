/*
 * When the native engine looks for objects that are kept by nobody but each other.
 *
 * scriptc counts references. An object that loses one and lives on may be the root of such a cycle, so its runtime notes it, and
 * walks through what it has noted a few hundred objects later: a tenth of what an ADD computes, for a process that ends in two
 * milliseconds. Nothing is noted before the memory has grown by more than any such process takes; what was lost by then is lost
 * for good, and that is little.
 */
extern int patchbay_memory_has_grown; /* allocator.c */

/* The runtime's own scr_cyc_on_release, under the name that the build gives it. */
void patchbay_note_candidate(void *object);

void scr_cyc_on_release(void *object);

void scr_cyc_on_release(void *object) {
  if (__builtin_expect(patchbay_memory_has_grown, 0)) patchbay_note_candidate(object);
}
