"""The chain of bench/transforms.ts in scikit-learn: fit on all rows and transform them. Argument: the Parquet file."""
import resource, sys, time
import numpy as np, pandas as pd, sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, PolynomialFeatures, StandardScaler, TargetEncoder


class Cap(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.low_, self.high_ = np.quantile(X, [0.01, 0.99], axis=0)
        return self

    def transform(self, X):
        return np.clip(X, self.low_, self.high_)


rows = pd.read_parquet(sys.argv[1])
y = rows["__label"].to_numpy()
signed_log = FunctionTransformer(lambda x: np.sign(x) * np.log1p(np.abs(x)))
fill = lambda: [SimpleImputer(strategy="median"), Cap()]
chain = ColumnTransformer([
    ("logged", make_pipeline(*fill(), signed_log, StandardScaler()), ["a", "b"]),
    ("plain", make_pipeline(*fill(), StandardScaler()), ["c", "d", "e", "f"]),
    ("hot", OneHotEncoder(min_frequency=0.005, max_categories=101, handle_unknown="infrequent_if_exist", sparse_output=False, dtype=np.float32), ["few", "some"]),
    ("target", TargetEncoder(cv=5, smooth=20, random_state=0), ["many"]),
])
poly = ColumnTransformer([("products", PolynomialFeatures(2, include_bias=False), [0, 1, 2, 3])], remainder="passthrough")
started = time.perf_counter()
out = poly.fit_transform(chain.fit_transform(rows, y))
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(f"scikit-learn  {seconds:.2f} s, {out.shape[1]} columns, {sklearn.__version__}, peak memory {peak} MB")
