/**
 * The version of the suite, in its reports. The first number counts up when the id of a clause or of a case goes or
 * means something else, the second when one comes, the third otherwise.
 */
export const SUITE_VERSION = '1.2.0'
