#include "server/analysis/student_t.h"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>

namespace moelab::server {

double student_t_quantile(double p, int degrees) {
  return boost::math::quantile(boost::math::students_t(degrees), p);
}

double student_t_two_sided_p(double t, int degrees) {
  if (std::isinf(t)) return 0;
  return 2 * boost::math::cdf(boost::math::complement(boost::math::students_t(degrees), std::abs(t)));
}

}  // namespace moelab::server
