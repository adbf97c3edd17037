"""What an exposition has, and what is wrong with rules, is found."""

import unittest

import check

TEXT = """# HELP requests Requests.
# TYPE requests counter
requests_total{route="/a"} 3
# TYPE took_seconds histogram
took_seconds_bucket{le="+Inf"} 1
# TYPE idle gauge
"""


class Exposed(unittest.TestCase):
    def test_samples_count_and_what_is_only_described(self):
        names = check.exposed(TEXT)
        self.assertLessEqual(
            {"requests_total", "took_seconds_bucket", "took_seconds_sum", "took_seconds_count", "idle"}, names
        )
        self.assertNotIn("idle_count", names)


class Rules(unittest.TestCase):
    def wrong(self, **changed):
        alert = {
            "alert": "GadwallDown",
            "expr": "up == 0",
            "for": "5m",
            "labels": {"severity": "page"},
            "annotations": {"summary": "It is down.", "runbook_url": "docs/operations.md#gadwalldown"},
        }
        document = {"groups": [{"name": "g", "rules": [alert | changed]}]}
        return check.rules(check.Path("alerts.yaml"), document, {"GadwallDown"})[1]

    def test_a_whole_alert_is_fine(self):
        self.assertEqual(self.wrong(), [])

    def test_what_is_missing_is_told(self):
        for changed, told in [
            ({"labels": {}}, "the severity"),
            ({"for": "soon"}, "no time"),
            ({"annotations": {"runbook_url": "docs/operations.md#gadwalldown"}}, "no summary"),
            ({"annotations": {"summary": "x"}}, "runbook_url"),
            (
                {
                    "alert": "GadwallGone",
                    "annotations": {"summary": "x", "runbook_url": "docs/operations.md#gadwallgone"},
                },
                "no part",
            ),
        ]:
            with self.subTest(told):
                self.assertRegex(" ".join(self.wrong(**changed)), told)


class Panels(unittest.TestCase):
    def test_panels_lie_beside_each_other(self):
        place = {"x": 0, "y": 0, "w": 12, "h": 4}
        panel = {"title": "a", "gridPos": place, "targets": [{"expr": "rate(x[$__rate_interval])"}]}
        document = {"panels": [panel, panel | {"gridPos": place | {"x": 12}}]}
        found = list(check.panels(check.Path("d.json"), document))
        self.assertEqual([expression for _, expression in found], ["rate(x[5m])"] * 2)
        with self.assertRaisesRegex(ValueError, "over another"):
            list(check.panels(check.Path("d.json"), {"panels": [panel, panel]}))


if __name__ == "__main__":
    unittest.main()
