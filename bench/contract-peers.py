"""contract-peers.py pandera|great_expectations FILE CONTRACT: the rules of bench/contract.ts by others, as one line of JSON."""
import json
import logging
import resource
import sys
import time
import warnings

import pandas as pd

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)


def rules_of(contract):
    for name, prop in contract["properties"].items():
        yield name, "required", None
        for keyword in ("minimum", "maximum", "pattern"):
            if keyword in prop:
                yield name, keyword, prop[keyword]


def text(name, keyword, value):
    if keyword == "required":
        return f"{name}: required"
    return f"{name}: {keyword} {value}"


def pandera_check(file, contract):
    import pandera.pandas as pa

    checks = {name: [] for name in contract["properties"]}
    for name, keyword, value in rules_of(contract):
        rule = text(name, keyword, value)
        if keyword == "minimum":
            checks[name].append(pa.Check.ge(value, error=rule))
        elif keyword == "maximum":
            checks[name].append(pa.Check.le(value, error=rule))
        elif keyword == "pattern":
            checks[name].append(pa.Check.str_matches(value, error=rule))
    schema = pa.DataFrameSchema({name: pa.Column(checks=own, nullable=False) for name, own in checks.items()})
    broken = {}
    try:
        schema.validate(pd.read_parquet(file), lazy=True)
    except pa.errors.SchemaErrors as error:
        for (column, check), rows in error.failure_cases.groupby(["column", "check"]):
            rule = f"{column}: required" if check == "not_nullable" else check
            broken[rule] = len(rows)
    return broken


def great_expectations_check(file, contract):
    import great_expectations as gx
    import great_expectations.expectations as gxe

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("flights")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": pd.read_parquet(file)})
    suite = gx.ExpectationSuite(name="contract")
    for name, keyword, value in rules_of(contract):
        meta = {"meta": {"rule": text(name, keyword, value)}}
        if keyword == "required":
            suite.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column=name, **meta))
        elif keyword == "minimum":
            suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=value, **meta))
        elif keyword == "maximum":
            suite.add_expectation(gxe.ExpectColumnValuesToBeBetween(column=name, max_value=value, **meta))
        else:
            suite.add_expectation(gxe.ExpectColumnValuesToMatchRegex(column=name, regex=value, **meta))
    results = batch.validate(suite, result_format="BASIC").results
    counts = {one.expectation_config.meta["rule"]: one.result["unexpected_count"] for one in results}
    return {rule: count for rule, count in counts.items() if count > 0}


def main():
    peer, file, contract_file = sys.argv[1:4]
    with open(contract_file, encoding="utf-8") as handle:
        contract = json.load(handle)
    check = {"pandera": pandera_check, "great_expectations": great_expectations_check}[peer]
    best = None
    for _ in range(3):
        cpu = resource.getrusage(resource.RUSAGE_SELF)
        started = time.perf_counter()
        broken = check(file, contract)
        seconds = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
        spent = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
        if best is None or seconds < best["seconds"]:
            best = {"name": peer, "seconds": seconds, "cpuSeconds": spent, "broken": broken}
    print(json.dumps(best))


main()
