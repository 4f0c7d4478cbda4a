"""The page of a study: a report that is published, with what was asked, how, what it cost, and what the limits are.

record    report.json as it is published: without this machine's paths, with the experiment's keys and each arm's costs
page      the Markdown and its plots, from the published files alone
"""
