"""Compare initialisations: python scripts/compare_initialisations.py --plan plan.yaml --jobs 2"""

import logging
import sys

from bundle_path import start
from models_genesis_bundle.comparison import ComparisonError, PlanError, compare_initialisations


def compare(plan: str, jobs: int | None = None, section: str | None = None, report_only: bool | str = False) -> None:
    """Run what is missing of a comparison, and write its tables and plots into its output folder.

    Ends with exit code 1 when a run is missing or the comparison is refused, and with 130 when it is interrupted.

    Args:
        plan: the YAML file; docs/how-to/comparison.md describes it.
        jobs: number of simultaneous runs; by default as in the plan.
        section: test or validation: the patients to score; by default as in the plan. Use validation to choose a recipe.
        report_only: true: run nothing, only report the existing runs.
    """
    try:
        only = str(report_only).lower() == "true"
        summary = compare_initialisations(plan, jobs=jobs, section=section, report_only=only)
    except KeyboardInterrupt:
        logging.getLogger(__name__).error("Interrupted. The same command continues with the remaining runs.")
        sys.exit(130)
    sys.exit(1 if summary.missing else 0)


if __name__ == "__main__":
    start(compare, PlanError, ComparisonError)
