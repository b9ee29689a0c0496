from django.urls import path

from . import views

urlpatterns = [
    path("", views.ReviewList.as_view(), name="review-list"),
    path("<uuid:submission_id>/", views.ReviewDetail.as_view(), name="review-detail"),
    path("<uuid:submission_id>/files/", views.ReviewFiles.as_view(), name="review-files"),
    path("<uuid:submission_id>/bundle/", views.ReviewBundle.as_view(), name="review-bundle"),
    path("<uuid:submission_id>/approve/", views.ReviewApprove.as_view(), name="review-approve"),
    path("<uuid:submission_id>/reject/", views.ReviewReject.as_view(), name="review-reject"),
    path("<uuid:submission_id>/remark/", views.ReviewRemark.as_view(), name="review-remark"),
    path("<uuid:submission_id>/resume/", views.ReviewResume.as_view(), name="review-resume"),
    path("<uuid:submission_id>/withdraw/", views.ReviewWithdraw.as_view(), name="review-withdraw"),
]
