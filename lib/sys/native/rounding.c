/*
 * trunc, which the runtime asks at every index whether it is a whole number. Compilers have no instruction for it on the oldest
 * processors of x86-64, and musl takes the number apart.
 */
double trunc(double number);

double trunc(double number) {
  /* From 2^52 on there are no fractions; infinity and NaN are returned as they came. */
  if (!(__builtin_fabs(number) < 4503599627370496.0)) return number;
  return __builtin_copysign((double)(long long)number, number);
}
