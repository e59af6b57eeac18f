// Owns Student's t distribution, from Boost.Math: the only place of the house that includes Boost. Called by statistics.cpp. Pure.
#pragma once

namespace moelab::server {

// The t that a variable with `degrees` >= 1 degrees of freedom stays below with probability `p`, 0 < p < 1.
double student_t_quantile(double p, int degrees);

// P(|T| >= |t|) for `degrees` >= 1 degrees of freedom, in [0, 1]; 0 for an infinite t.
double student_t_two_sided_p(double t, int degrees);

}  // namespace moelab::server
